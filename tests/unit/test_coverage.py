"""Where a table lacks what was proposed, a report says how much it holds and bounds what it cannot know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import coverage, published, tables
from reports.facts import Part
from reports.study import Study
from reports.traces import Traces

BENCHMARK, TARGET = "nb1shot1/1", "cifar10"
BEST, WORST, EPOCHS, NAN = 94.0, 80.0, 4, float("nan")
TESTS = {
    "pc_darts": [[93.0, 93.0, 93.5, 93.5], [92.0, NAN, NAN, 93.0], [91.0, 91.0, NAN, 93.0]],
    "gaea_pc_darts": [[93.0, 93.0, 93.5, 93.5], [92.0, 92.0, 92.0, 92.0], [91.0, 91.0, 91.0, NAN]],
}
"""By row and run, test accuracy of the cell proposed at each epoch; NaN: not in the table."""


@pytest.fixture
def study() -> Study:
    runs: list[dict[str, Any]] = []
    for row, tests in TESTS.items():
        for world, values in enumerate(tests):
            metrics = {"test": values[-1], "valid": values[-1], "regret": BEST - values[-1], "rank": 1.0}
            named = {
                "run_id": f"{row}/{world}",
                "protocol": "p",
                "benchmark": BENCHMARK,
                "row": row,
                "method": row,
                "label": "",
            }
            spent = {"queries": 0, "seconds": 40.0, "epochs": 8.0, "wall_seconds": 1.0, "kind": "one-shot", "arch": "x"}
            runs.append({**named, "world": world, "status": "done", "error": "", "target": TARGET, **metrics, **spent})
    kept = [{"split": "test", "name": "best mean", "error": 6.0, "kept": 0.0}]
    kept += [{"split": "test", "name": "best single", "error": 5.65, "kept": 0.35}]
    bounds = {"optimum": {TARGET: BEST}, "worst": {TARGET: WORST}}
    part = Part(BENCHMARK, "one-shot", judge={TARGET: "x"}, references=tuple(kept), **bounds)
    return Study(pd.DataFrame(runs), {"parts": [part]}, published.load().iloc[:0])


@pytest.fixture
def traces() -> Traces:
    ends = [10.0 * epoch for epoch in range(1, EPOCHS + 1)]
    return Traces(
        {
            **{"row": row, "benchmark": BENCHMARK, "world": world, "seconds": ends, "end": ends[-1]},
            **{"test": {TARGET: np.array(values)}, "log": {"epoch": list(range(1, EPOCHS + 1)), "seconds": ends}},
        }
        for row, tests in TESTS.items()
        for world, values in enumerate(tests)
    )


def test_coverage_is_told_by_epoch_and_a_mean_only_where_all_are_covered(study: Study, traces: Traces) -> None:
    table = coverage.covered(study, traces, BENCHMARK)
    assert table is not None
    rows = [row[:4] for row in table.rows]
    assert rows == [
        ["gaea_pc_darts", TARGET, "1–3", "3/3"],
        ["gaea_pc_darts", TARGET, "4–4", "2/3"],
        ["pc_darts", TARGET, "1–1", "3/3"],
        ["pc_darts", TARGET, "2–2", "2/3"],
        ["pc_darts", TARGET, "3–3", "1/3"],
        ["pc_darts", TARGET, "4–4", "3/3"],
    ]
    found = [row[4] for row in table.rows]
    assert found[2] == f"2.00 ± {np.std([1, 2, 3]):.2f}"
    assert found[3] == "1.33 to 6.00"  # (1 + 3) / 3, and with the missing one at 94 - 80
    assert found[1] == "0.83 to 5.50"


def test_bounds_are_the_means_of_the_best_and_of_the_worst_case() -> None:
    assert coverage.bounds(np.array([1.0, NAN, 3.0]), 14.0) == (pytest.approx(4 / 3), 6.0)
    assert coverage.bounds(np.array([1.0, 2.0]), 14.0) == (1.5, 1.5)


def test_no_mean_is_made_of_a_part(study: Study) -> None:
    assert len(study.finished(BENCHMARK, "pc_darts", TARGET)) == 3
    assert study.finished(BENCHMARK, "gaea_pc_darts", TARGET).empty
    assert study.coverage(BENCHMARK, "gaea_pc_darts", TARGET) == (2, 3)
    cells = {row[0]: row[2] for row in tables.results(study, BENCHMARK).rows}
    assert cells["pc_darts"] == f"93.17 ± {np.std([93.5, 93, 93]):.2f}"
    assert cells["gaea_pc_darts"] == "2/3 in the table, 88.50 to 93.17"


def test_references_stand_with_the_regret_they_leave(study: Study) -> None:
    table = coverage.references(study, BENCHMARK)
    assert table is not None
    assert table.rows == [["test", "best mean", "6.0000", "0.00"], ["test", "best single", "5.6500", "0.35"]]
    assert coverage.references(study, "nb201/cifar10") is None


def test_the_figure_is_drawn_where_references_are_stated(study: Study, traces: Traces) -> None:
    drawn = coverage.regret(study, traces)
    assert drawn is not None and drawn.stem == "regret_per_epoch"
    assert drawn.files["png"].startswith(b"\x89PNG") and drawn.files["pdf"].startswith(b"%PDF")
    study.facts["parts"] = []
    assert coverage.regret(study, traces) is None
