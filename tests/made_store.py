"""A store of made-up finished runs of a plan, for reports: no search is run."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.outcome import Result
from harness.plan import Plan, PlannedRow
from harness.spec import RunSpec
from harness.store import Store

QUERIES = 100
DIFFERENT = 64
"""Traces that differ; worlds share them in turn."""

Make = Callable[[PlannedRow, RunSpec], Result]


def fill(store: Store, plan: Plan, make: Make | None = None) -> None:
    """Save a result for every run of the plan's rows."""
    for row in plan.rows:
        result_of = make or finished(plan, row)
        for at in range(0, len(row.runs), 500):
            runs = row.runs[at : at + 500]
            store.claim(row.spec, runs)
            store.save(row.spec, [(run, result_of(row, run)) for run in runs])


def finished(plan: Plan, row: PlannedRow) -> Make:
    """Return what makes a finished search: queries with an incumbent that rises, judged on every target of the benchmark."""
    judge: Any = plan.problem(row.spec).judge
    rng = np.random.default_rng(list(row.spec.row.encode()))
    seconds = np.cumsum(rng.uniform(0.5, 1.5, (DIFFERENT, QUERIES)), axis=1)
    accuracy = rng.integers(2_000, 23_000, (DIFFERENT, QUERIES)) / 250
    best = np.maximum.accumulate(accuracy, axis=1)
    space = plan.problem(row.spec).space
    arch = space.to_str(space.sample(random.Random(0)))

    def make(row: PlannedRow, run: RunSpec) -> Result:
        k = run.world % DIFFERENT
        changes = np.array([0, *(np.flatnonzero(np.diff(best[k])) + 1)])
        tests = {target: best[k][changes] * optimum / 92 for target, optimum in judge.optimum.items()}
        trace = {
            "seconds": seconds[k],
            "accuracy": accuracy[k].astype(np.float32),
            "proposal_queries": changes + 1,
            "proposal_seconds": seconds[k][changes],
            **{f"{target}/test": values for target, values in tests.items()},
        }
        scores = {
            target: {"valid": best[k][-1], "test": values[-1], "regret": judge.optimum[target] - values[-1], "rank": 400.0}
            for target, values in tests.items()
        }
        spent = {"queries": QUERIES, "seconds": float(seconds[k][-1]), "epochs": 1200.0, "macs": 1e9}
        return Result(run.run_id, "done", arch, scores, trace, spent, 0.001)

    return make
