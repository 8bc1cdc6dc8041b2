"""Stored runs as data frames, for your own analysis::

    from harness import results

    runs = results.runs("results")        # a line per run and judged data set
    best = runs[runs.status == "done"].groupby(["benchmark", "row"]).test.mean()
    traces = results.traces("results", benchmark="nb201/digits", row="random_search")

Only the store is read: no plan, no data of a benchmark, no torch. :data:`COLUMNS` describes the columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from harness.errors import UserError
from harness.packing import unpack
from harness.store import Store, store_file

COLUMNS: Final[Mapping[str, str]] = {
    "run_id": "id of the run: a hash of its specification and seeds",
    "protocol": "rules of the comparison",
    "benchmark": "search space and data set of the search",
    "row": "the method with its variant and changed settings",
    "method": "the method's name, or the path of its file",
    "kind": "multi-trial, one-shot, or retraining (a training from scratch)",
    "device": "cpu or cuda",
    "budget": "limit of the search, CURRENCY=AMOUNT; empty for its own schedule",
    "code": "digest of the source that the run executed",
    "made_by": "version and commit of the command that made the run",
    "world": "the seed, along which rows are paired",
    "world_seed": "derived seed of the world",
    "method_seed": "derived seed of the method",
    "status": "done, failed, timeout, crashed, rejected or too_small",
    "error": "why the run is not done; empty if it is",
    "arch": "the proposed architecture, as its search space spells it",
    "finished": "moment at which the run was stored, UTC",
    "wall_seconds": "real time, never charged",
    "queries": "queries to the table",
    "seconds": "charged seconds",
    "epochs": "charged epochs",
    "target": "data set that the judge tested on; empty for a run that is not done",
    "test": "test accuracy, percent",
    "valid": "validation accuracy, percent",
    "regret": "points below the best of the stated set",
    "rank": "rank of the cell in the stated set, 1 is the best",
    "parameters": "number of parameters of the network",
    "macs": "multiply-adds of the network",
    "single_run": "test accuracy of the network that the search delivered, percent",
}
"""The columns of :func:`runs` with their meaning. A missing number is NaN. Further scores of a judge are further columns."""
_SPENT = ("queries", "seconds", "epochs")
_STORED = (
    *("run_id", "world", "world_seed", "method_seed", "status", "error", "arch", "finished", "wall_seconds"),
    *("session", "spent", "scores"),
)


def runs(folder: str | Path = "results") -> pd.DataFrame:
    """Return every finished run of a store: a line per run and target, rows in the order in which they ran.

    Args:
        folder: the folder of the store, ``--out`` of a command.

    Raises:
        UserError: there is no store, or it cannot be read.
    """
    lines: list[dict[str, Any]] = []
    with _opened(folder) as store:
        sessions: dict[int, str] = {}
        for identity, spec in store.specs().items():
            shared = _of_row(spec)
            for stored in store.columns(identity, _STORED):
                run = dict(zip(_STORED, stored, strict=True))
                number, spent, scores = run.pop("session"), json.loads(run.pop("spent")), json.loads(run.pop("scores"))
                judged = scores if run["status"] == "done" and scores else {"": {}}
                if number not in sessions:
                    sessions[number] = next((str(facts.get("code", "")) for facts in store.sessions([number])), "")
                run |= shared | {name: spent.get(name, np.nan) for name in _SPENT} | {"made_by": sessions[number]}
                lines += [{**run, "target": target, **values} for target, values in judged.items()]
    more = dict.fromkeys(name for line in lines for name in line if name not in COLUMNS)
    frame = pd.DataFrame(lines, columns=[*COLUMNS, *more])
    numbers = [*_SPENT, "wall_seconds", *list(COLUMNS)[list(COLUMNS).index("test") :], *more]
    frame = frame.astype(dict.fromkeys(numbers, "float64") | {"world": "int64"})
    return frame.assign(finished=pd.to_datetime(frame["finished"], unit="s", utc=True))


def traces(folder: str | Path = "results", benchmark: str = "", row: str = "") -> pd.DataFrame:
    """Return what finished searches proposed over time: a line per search, target and change of the proposal.

    Columns: ``run_id``, ``protocol``, ``benchmark``, ``row``, ``world``; ``seconds`` and ``queries``, charged before the
    change; ``target`` and ``test``, the accuracy of the new proposal in percent.

    Args:
        benchmark: only searches on this benchmark; empty: on all.
        row: only searches of this row; empty: of all.
    """
    frames = [
        pd.DataFrame(
            {**run, "seconds": trace["proposal_seconds"], "queries": trace["proposal_queries"], "target": target, "test": tests}
        )
        for run, trace in _traces(folder, benchmark, row)
        for target, tests in _judged(trace).items()
    ]
    return _joined(frames, ["run_id", "protocol", "benchmark", "row", "world", "seconds", "queries", "target", "test"])


def logs(folder: str | Path = "results", benchmark: str = "", row: str = "") -> pd.DataFrame:
    """Return what finished searches logged, a line per search and entry of its log, most often an epoch.

    The columns of :func:`traces` that name the run, and a column per logged quantity (``epoch``, ``entropy``, ...); NaN where a
    search did not log it. The arguments are those of :func:`traces`.
    """
    frames = []
    for run, trace in _traces(folder, benchmark, row):
        columns = {name[4:]: pd.Series(values) for name, values in trace.items() if name.startswith("log/")}
        if columns:
            frames.append(pd.DataFrame(columns).assign(**run))
    names = ["run_id", "protocol", "benchmark", "row", "world"]
    return _joined(frames, [*names, *dict.fromkeys(str(name) for frame in frames for name in frame if name not in names)])


def _joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _judged(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the accuracies of the proposals by target."""
    within = {name for name in trace if name.startswith(("log/", "probe/"))}
    return {name.removesuffix("/test"): trace[name] for name in trace if name.endswith("/test") and name not in within}


def _traces(folder: str | Path, benchmark: str, row: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield for each finished search the columns that name it, and its trace."""
    with _opened(folder) as store:
        for identity, spec in store.specs().items():
            if benchmark in ("", spec["benchmark"]) and row in ("", spec["row"]):
                named = {name: spec[name] for name in ("protocol", "benchmark", "row")}
                for run_id, world, status, packed in store.columns(identity, ("run_id", "world", "status", "trace")):
                    if status == "done":
                        yield {"run_id": run_id, **named, "world": world}, unpack(packed, per_query=False)


def _of_row(spec: Mapping[str, Any]) -> dict[str, Any]:
    budget = spec["budget"]
    limit = f"{budget['currency']}={budget['limit']:.12g}" if budget["currency"] else ""
    return {name: spec[name] for name in ("protocol", "benchmark", "row", "method", "kind", "device", "code")} | {
        "budget": limit
    }


@contextmanager
def _opened(folder: str | Path) -> Iterator[Store]:
    place = Path(folder)
    if not store_file(place).exists():
        raise UserError(f"there is no store in {place}: {store_file(place)} does not exist")
    with Store(place, write=False) as store:
        yield store
