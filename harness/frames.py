"""From the store to the plain data frames and facts that a report is made of."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from harness import registry
from harness.captions import parts
from harness.current import current
from harness.packing import unpack
from harness.plan import Plan, PlannedRow
from harness.spec import RETRAINING, RowSpec
from harness.stages import extend
from harness.store import Store
from reports.traces import Packed, Traces

METRICS = ("test", "valid", "regret", "rank", "parameters", "macs")
"""Of a judge's scores, those that a report shows."""
SHARED = ("protocol", "benchmark", "row", "method", "kind", "device", "label")
OWN = ("world", "status", "error", "arch", "queries", "seconds", "epochs", "wall_seconds")
COLUMNS = ("run_id", *SHARED, *OWN, "target", *METRICS)

STORED = ("run_id", "world", "status", "error", "arch", "wall_seconds", "session", "spent", "scores", "trace")
CHUNK = 200
"""Runs that are read and decoded at once."""


@dataclass(frozen=True)
class Evidence:
    """What a report is made of; see ``reports.write``."""

    runs: pd.DataFrame
    traces: Traces
    facts: dict[str, Any]
    trainings: pd.DataFrame
    """One line per training from scratch and stage that wants it; empty where the protocol has no stages."""


def collect(plan: Plan, store: Store, provenance: Mapping[str, Any]) -> Evidence:
    """Return everything in the store that was made under the plan's protocol on today's data, whichever command made it.

    Reads only: the plan may have nothing to run, and the store may be empty.
    """
    shown, left_out = current(plan, store)
    traces = Traces()
    sessions: Counter[int] = Counter()
    frames = [
        _runs(plan, store, identity, spec, traces.row(spec["benchmark"], spec["row"]), sessions)
        for identity, spec in shown.items()
    ]
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
    return Evidence(runs, traces, facts, _trainings(_with_stored_rows(plan, store, shown), store))


def _runs(
    plan: Plan, store: Store, identity: str, spec: Mapping[str, Any], traces: Packed, sessions: Counter[int]
) -> pd.DataFrame:
    """Return one line per finished run of a row and target; adds to the traces, and to the runs of each session."""
    row, benchmark = spec["row"], spec["benchmark"]
    method = row.partition("[")[0].partition(":")[0]
    shared = dict(zip(SHARED, (spec["protocol"], benchmark, row, method, spec["kind"], spec["device"], ""), strict=True))
    targets = list(plan.opened[benchmark, spec["kind"]].problem.judge.optimum)
    columns: dict[str, list[Any]] = {name: [] for name in (*OWN, "run_id")}
    metrics: dict[str, list[dict[str, float]]] = {target: [] for target in targets}
    stored = store.columns(identity, STORED)
    while chunk := list(islice(stored, CHUNK)):
        block = dict(zip(STORED, zip(*chunk, strict=True), strict=True))
        spent, scores = (json.loads(f"[{','.join(block[name])}]") for name in ("spent", "scores"))
        sessions.update(block["session"])
        for name in ("run_id", "world", "status", "error", "arch", "wall_seconds"):
            columns[name].extend(block[name])
        for name, missing in (("queries", 0), ("seconds", np.nan), ("epochs", np.nan)):
            columns[name].extend([one.get(name, missing) for one in spent])
        done = [status == "done" for status in block["status"]]
        for target in targets:
            metrics[target].extend([one.get(target, {}) if ok else {} for one, ok in zip(scores, done, strict=True)])
        finished = [place for place, ok in enumerate(done) if ok]
        unpacked = [unpack(block["trace"][place], per_query=False) for place in finished]
        traces.add([block["world"][place] for place in finished], [spent[place] for place in finished], unpacked, targets)
    frame = pd.DataFrame({**columns, **shared})
    blocks = [
        frame.assign(
            target=target, **{name: np.array([one.get(name, np.nan) for one in values], dtype=float) for name in METRICS}
        )
        for target, values in metrics.items()
    ]
    return pd.concat(blocks)[list(COLUMNS)].sort_index(kind="stable")  # a run's targets stand together


def _with_stored_rows(plan: Plan, store: Store, shown: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Return a plan whose trainings are those of every row on the page whose cells are trained from scratch."""
    searches = {row.spec.identity: row for row in plan.rows if row.spec.kind != RETRAINING}
    rows = {identity: searches.get(identity) or PlannedRow(RowSpec(**spec), []) for identity, spec in shown.items()}
    rows = {identity: row for identity, row in rows.items() if plan.problem(row.spec).retraining}
    for identity, row in rows.items():
        if identity not in searches:
            row.runs = [row.spec.run(world) for (world,) in store.columns(identity, ("world",))]
    ordered = sorted(rows.values(), key=lambda row: (row.spec.benchmark, row.spec.row))
    whole = dataclasses.replace(plan, rows=ordered, trainings=[], waiting={}, skipped=dict(plan.skipped))
    if ordered:
        extend(whole, store)
    return whole


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
