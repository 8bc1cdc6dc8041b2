"""From the store to the plain data frames and facts that a report is made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness import registry
from harness.captions import parts
from harness.current import current
from harness.plan import Plan
from harness.store import Store, unpack

METRICS = ("test", "valid", "regret", "rank", "parameters", "macs")
"""Of a judge's scores, those that a report shows."""

CHUNK = 2000
"""Runs whose JSON is decoded in one call."""


@dataclass(frozen=True)
class Evidence:
    """What a report is made of; see ``reports.write``."""

    runs: pd.DataFrame
    traces: Iterable[dict[str, Any]]
    """Read from the store one by one, as they are asked for."""
    facts: dict[str, Any]
    trainings: pd.DataFrame
    """One line per training from scratch and stage that wants it; empty where the protocol has no stages."""


def collect(plan: Plan, store: Store, provenance: Mapping[str, Any]) -> Evidence:
    """Return everything in the store that was made under the plan's protocol on today's data, whichever command made it.

    Reads only: the plan may have nothing to run, and the store may be empty.
    """
    shown, left_out = current(plan, store)
    sessions: Counter[int] = Counter()
    frames = [_runs(plan, store, identity, spec, sessions) for identity, spec in shown.items()]
    facts = {
        "protocol": plan.protocol.name,
        "title": plan.protocol.title,
        "comparable": plan.protocol.comparable,
        "modified": plan.protocol.modified,
        "parts": parts(plan, shown.values()),
        "left_out": left_out,
        "known_rows": sorted(row for info in registry.methods().values() for row in info.rows),
        "sessions": [{**made, "runs": sessions[made["id"]]} for made in store.sessions(sessions)],
        **{name: provenance[name] for name in ("command", "code", "host", "date")},
    }
    runs = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    return Evidence(runs, _traces(plan, store, shown), facts, _trainings(plan, store))


SHARED = ("protocol", "benchmark", "row", "method", "kind", "device", "label")
OWN = ("world", "status", "error", "arch", "queries", "seconds", "epochs", "wall_seconds")
COLUMNS = ("run_id", *SHARED, *OWN, "target", *METRICS)


def _runs(plan: Plan, store: Store, identity: str, spec: Mapping[str, Any], sessions: Counter[int]) -> pd.DataFrame:
    """Return one line per finished run of a row and target; counts the runs of each session."""
    row, benchmark = spec["row"], spec["benchmark"]
    method = row.partition("[")[0].partition(":")[0]
    shared = dict(zip(SHARED, (spec["protocol"], benchmark, row, method, spec["kind"], spec["device"], ""), strict=True))
    targets = list(plan.opened[benchmark, spec["kind"]].problem.judge.optimum)
    names = ("run_id", "world", "status", "error", "arch", "wall_seconds", "session", "spent", "scores")
    columns = dict(zip(names, zip(*store.columns(identity, names), strict=True), strict=True))
    sessions.update(columns["session"])
    done = [status == "done" for status in columns["status"]]
    spent = _decoded(columns["spent"])
    scores = [made if finished else {} for made, finished in zip(_decoded(columns["scores"]), done, strict=True)]
    frame = pd.DataFrame({name: columns[name] for name in ("run_id", "world", "status", "error", "arch", "wall_seconds")})
    for name, missing in (("queries", 0), ("seconds", np.nan), ("epochs", np.nan)):
        frame[name] = [one.get(name, missing) for one in spent]
    for name, value in shared.items():
        frame[name] = value
    blocks = []
    for target in targets:
        of_target = [one.get(target, {}) for one in scores]
        metrics = {name: np.array([one.get(name, np.nan) for one in of_target], dtype=float) for name in METRICS}
        blocks.append(frame.assign(target=target, **metrics))
    stacked = pd.concat(blocks)[list(COLUMNS)]
    return stacked.sort_index(kind="stable")  # a run's targets stand together


def _decoded(texts: Iterable[str]) -> list[Any]:
    """Decode JSON texts many at a time, which takes half as long."""
    texts = list(texts)
    return [one for at in range(0, len(texts), CHUNK) for one in json.loads(f"[{','.join(texts[at : at + CHUNK])}]")]


def _traces(plan: Plan, store: Store, shown: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the trace of every finished search, as ``reports.write`` takes them."""
    for identity, spec in shown.items():
        targets = list(plan.opened[spec["benchmark"], spec["kind"]].problem.judge.optimum)
        for world, status, spent, packed in store.columns(identity, ("world", "status", "spent", "trace")):
            if status == "done":
                columns, spent = unpack(packed), json.loads(spent)
                yield {
                    "row": spec["row"],
                    "benchmark": spec["benchmark"],
                    "world": world,
                    "seconds": columns["proposal_seconds"],
                    "end": spent["seconds"],
                    "queries": columns["proposal_queries"],
                    "spent_queries": spent["queries"],
                    "test": {target: columns[f"{target}/test"] for target in targets if f"{target}/test" in columns},
                    "probe": {name[6:]: values for name, values in columns.items() if name.startswith("probe/")},
                    "log": {name[4:]: values for name, values in columns.items() if name.startswith("log/")},
                }


def _trainings(plan: Plan, store: Store) -> pd.DataFrame:
    """What the stages wanted, with what came of it: accuracies in percent, NaN where a training failed or is to come."""
    identities = dict.fromkeys(one.spec.identity for one in plan.trainings)
    results = {one["run_id"]: one for identity in identities for one in store.rows(identity, trace=False)}
    stages = {stage.name: stage for stage in plan.protocol.stages}
    lines = []
    for one in plan.trainings:
        made, settings = results.get(one.run_id), one.spec.settings
        scores = made["scores"].get(settings["data"], {}) if made and made["status"] == "done" else {}
        chosen_by = stages[one.stage].chosen_by
        lines.append(
            {
                "stage": one.stage,
                "benchmark": one.spec.benchmark,
                "row": one.row,
                "world": one.world,
                "arch": one.arch,
                "seed": one.seed,
                "run_id": one.run_id,
                "status": made["status"] if made else "missing",
                "recipe": settings["recipe"],
                "epochs": settings["epochs"],
                "data": settings["data"],
                "split": settings["split"],
                "images": settings["images"],
                "probed": stages[one.stage].probed,
                "chosen_by": chosen_by,
                "chosen_on": stages[chosen_by].split if chosen_by else "",
                "accuracy": scores.get(settings["split"], np.nan),
                "best": scores.get("best", np.nan),
                "parameters": scores.get("parameters", np.nan),
                "macs": scores.get("macs", np.nan),
                "seconds": made["spent"].get("seconds", np.nan) if made else np.nan,
                "device": one.spec.device,
            }
        )
    return pd.DataFrame(lines)
