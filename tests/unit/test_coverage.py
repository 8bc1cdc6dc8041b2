"""If a table lacks proposals, a report states the coverage and bounds of the mean."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.analysis.coverage import bounds
from harness.analysis.evidence import Part, Reference
from harness.analysis.study import Study
from harness.analysis.traces import Trace, Traces
from reports import coverage, ranked
from tests import made_evidence

BENCHMARK, TARGET = "nb1shot1/1", "cifar10"
BEST, WORST, EPOCHS, NAN = 94.0, 80.0, 4, float("nan")
TESTS = {
    "pc_darts": [[93.0, 93.0, 93.5, 93.5], [92.0, NAN, NAN, 93.0], [91.0, 91.0, NAN, 93.0]],
    "gaea_pc_darts": [[93.0, 93.0, 93.5, 93.5], [92.0, 92.0, 92.0, 92.0], [91.0, 91.0, 91.0, NAN]],
}
"""By row and run, test accuracy of the cell proposed at each epoch; NaN: not in the table."""


@pytest.fixture
def study() -> Study:
    lines = [
        made_evidence.run(BENCHMARK, row, world, TARGET, tests[-1], kind="one-shot", valid=tests[-1], regret=BEST - tests[-1])
        for row, by_world in TESTS.items()
        for world, tests in enumerate(by_world)
    ]
    references = Reference("test", "best mean", 6.0, 0.0), Reference("test", "best single", 5.65, 0.35)
    part = Part(
        BENCHMARK, "one-shot", judge={TARGET: "x"}, references=references, optimum={TARGET: BEST}, worst={TARGET: WORST}
    )
    return made_evidence.study(lines, part)


@pytest.fixture
def traces() -> Traces:
    ends = [10.0 * epoch for epoch in range(1, EPOCHS + 1)]
    log = {"epoch": [float(epoch) for epoch in range(1, EPOCHS + 1)], "seconds": ends}
    return Traces(
        {
            (BENCHMARK, row): [
                Trace(world, ends, {TARGET: np.array(tests)}, end=ends[-1], log=log) for world, tests in enumerate(by_world)
            ]
            for row, by_world in TESTS.items()
        }
    )


def test_coverage_is_stated_by_epoch_and_a_mean_only_if_all_are_covered(study: Study, traces: Traces) -> None:
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
    regrets = [row[4] for row in table.rows]
    assert regrets[2] == f"2.00 ± {np.std([1, 2, 3]):.2f}"
    assert regrets[3] == "1.33 to 6.00"  # (1 + 3) / 3, and with the missing regret taken as 94 - 80
    assert regrets[1] == "0.83 to 5.50"


def test_bounds_are_the_means_of_the_best_and_of_the_worst_case() -> None:
    best, worst = bounds(np.array([1.0, NAN, 3.0]), 14.0)
    assert best == pytest.approx(4 / 3) and worst == 6.0
    assert bounds(np.array([1.0, 2.0]), 14.0) == (1.5, 1.5)


def test_no_mean_is_taken_over_a_part_of_the_runs(study: Study) -> None:
    assert len(study.finished(BENCHMARK, "pc_darts", TARGET)) == 3
    assert study.finished(BENCHMARK, "gaea_pc_darts", TARGET).empty
    cells = {row[0]: row[2] for row in ranked.results(study, BENCHMARK).rows}
    assert cells["pc_darts"] == f"93.17 ± {np.std([93.5, 93, 93]):.2f}"
    assert cells["gaea_pc_darts"] == "2/3 in the table, 88.50 to 93.17"


def test_references_are_listed_with_the_best_cells_regret(study: Study) -> None:
    table = coverage.references(study, BENCHMARK)
    assert table is not None
    assert table.rows == [["test", "best mean", "6.0000", "0.00"], ["test", "best single", "5.6500", "0.35"]]
    assert coverage.references(study, "nb201/cifar10") is None


def test_the_figure_is_drawn_if_references_are_stated(study: Study, traces: Traces) -> None:
    drawn = coverage.regret(study, traces)
    assert drawn is not None
    assert drawn.files["png"].startswith(b"\x89PNG") and drawn.files["pdf"].startswith(b"%PDF")
    without = dataclasses.replace(study.evidence, page=dataclasses.replace(study.page, parts=()))
    assert coverage.regret(dataclasses.replace(study, evidence=without), traces) is None
