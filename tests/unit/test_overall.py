"""Ranks, paired wins and shares over several benchmarks: right values on made-up runs, nothing imputed, trimmed or dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats

from harness.analysis import statistics
from harness.analysis.ranks import OWN_SCHEDULES, MeanRanks
from reports import html, overall, ranks
from reports.layout import Bullets, Heading, Table, to_markdown
from tests import made_evidence

Tests = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By benchmark and row, the test accuracies of the seeds 0, 1, ...; None: the search failed."""


def runs(tests: Tests, targets: Sequence[str] = ("t",), **columns: Any) -> pd.DataFrame:
    """Return runs of a stated set whose best cell has 100 %."""
    lines = []
    for benchmark, rows in tests.items():
        for row, values in rows.items():
            for world, test in enumerate(values):
                state = {"status": "failed"} if test is None else {"regret": 100.0 - test}
                more: dict[str, Any] = {"kind": "one-shot" if row.startswith("w") else "multi-trial", **columns}
                accuracy = np.nan if test is None else test
                lines += [made_evidence.run(benchmark, row, world, t, accuracy, **(more | state)) for t in targets]
    return made_evidence.frame(lines)


def table_of(frame: pd.DataFrame, one_budget: Mapping[str, Sequence[str]] | None = None) -> dict[str, dict[str, str]]:
    """Return the cells of the first table by row and title of the column."""
    table = next(block for block in overall.blocks(frame, one_budget or {}) if isinstance(block, Table))
    titles = [column.title for column in table.columns]
    return {cells[0]: dict(zip(titles, cells, strict=True)) for cells in table.rows}


TWO: Tests = {
    "a": {"random_search": [90, 90, 90, 90], "x": [91, 92, 91, 89], "y": [95, 95, 95, 95]},
    "b": {"random_search": [50, 50, 50, 50], "x": [60, 60, 60, 60], "y": [40, 40, 60, 40]},
}


def test_ranks_within_the_seed_have_the_same_weight_on_every_benchmark() -> None:
    cells = table_of(runs(TWO))
    a, b = np.array([2, 2, 2, 3]), np.array([1, 1, 1.5, 1])
    mean = (a.mean() + b.mean()) / 2
    assert cells["x"]["mean rank [95 %]"].startswith(f"{mean:.2f} [")
    assert (cells["x"]["mean rank on a"], cells["x"]["mean rank on b"]) == ("2.25 of 3", "1.12 of 3")
    assert list(cells) == ["x", "y", "random_search"], "by mean rank"


def test_the_interval_of_the_mean_rank_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(2, 1, 12), rng.normal(4, 2, 7)
    mean, interval = statistics.equal_weights([first, second])
    theirs = stats.ttest_ind(first, -second, equal_var=False).confidence_interval()  # mean(first) + mean(second)
    assert interval is not None
    assert (mean, *interval) == pytest.approx(((first.mean() + second.mean()) / 2, theirs.low / 2, theirs.high / 2))
    assert statistics.equal_weights([first, second[:2]])[1] is None
    assert statistics.equal_weights([np.ones(9), np.ones(9)])[1] is None, "ranks that never vary prove no certainty"


@given(st.integers(3, 400), st.floats(0, 1))
def test_the_interval_of_a_share_is_that_of_scipy(n: int, share: float) -> None:
    wins = round(share * n)
    interval = statistics.share_interval(wins / n, n)
    assert interval is not None
    theirs = stats.binomtest(wins, n).proportion_ci(method="wilson")
    assert tuple(interval) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert interval.low < interval.high


def test_a_paired_win_counts_one_and_a_tie_half() -> None:
    cells = table_of(runs(TWO))
    assert cells["x"]["beats random search [95 %]"].startswith("88 ["), "3 of 4 on a, 4 of 4 on b"
    assert cells["y"]["beats random search [95 %]"].startswith("62 ["), "4 of 4 on a, 1 of 4 on b"
    assert cells["y"]["beats the first [95 %]"].startswith("56 ["), "4 of 4 on a, half of one of 4 on b"
    assert cells["random_search"]["beats random search [95 %]"] == "–"


def test_a_failed_search_is_last_and_reaches_nothing() -> None:
    tests: Tests = {"a": {"x": [99.9, None], "y": [90, 90]}, "b": {"x": [99.9, 99.9], "y": [90, 90]}}
    cells = table_of(runs(tests))
    assert (cells["x"]["mean rank on a"], cells["y"]["mean rank on a"]) == ("1.50 of 2", "1.50 of 2")
    assert cells["x"]["% of runs within, of the best 0.5 %"] == "75"
    both: Tests = {**tests, "a": {"x": [None, 99.0], "y": [None, 90]}}
    assert table_of(runs(both))["x"]["mean rank on a"] == "1.25 of 2", "two failures are a tie"


def test_a_row_that_did_not_run_on_a_benchmark_is_missing_there_and_has_no_mean_rank() -> None:
    tests: Tests = {**TWO, "c": {"x": [70, 70], "random_search": [60, 60]}}
    cells = table_of(runs(tests))
    assert (cells["y"]["mean rank on c"], cells["y"]["mean rank [95 %]"]) == ("missing", "–")
    assert cells["x"]["mean rank on c"] == "1.00 of 2"
    notes = next(block for block in overall.blocks(runs(tests), {}) if isinstance(block, Bullets))
    assert dict(notes.items)["c"] == "2 of 2 seeds are ranked; missing here: y"


def test_a_seed_that_a_row_did_not_run_is_said_to_be_left_out_of_the_ranks() -> None:
    tests: Tests = {"a": {"x": [91, 92, 93], "y": [90]}, "b": {"x": [91], "y": [90]}}
    notes = next(block for block in overall.blocks(runs(tests), {}) if isinstance(block, Bullets))
    assert dict(notes.items)["a"] == "1 of 3 seeds are ranked; not every seed has a result of y"


def test_data_sets_of_one_search_count_as_one_benchmark() -> None:
    single, three = runs(TWO), runs(TWO, targets=("t", "u", "v"))
    assert table_of(single) == table_of(three)
    assert overall.blocks(three[three["benchmark"] == "a"], {}) == []


def test_kinds_of_method_are_ranked_together_only_under_one_budget() -> None:
    tests: Tests = {name: {"x": [90, 91], "y": [80, 81], "w1": [95, 96], "w2": [70, 71]} for name in "ab"}
    apart = [block.text for block in overall.blocks(runs(tests), {}) if isinstance(block, Heading)]
    assert [text.partition(", ")[2] for text in apart] == ["multi-trial", OWN_SCHEDULES]
    together = table_of(runs(tests), {"p": ["a", "b"]})
    assert list(together) == ["w1", "x", "y", "w2"]


def test_a_row_that_is_charged_nothing_is_no_method_to_rank() -> None:
    free = runs({name: {"floor": [99, 99]} for name in "ab"}, queries=0.0, seconds=0.0, epochs=0.0)
    assert "floor" not in table_of(pd.concat([runs(TWO), free]))


def test_ranks_before_the_end_follow_what_was_proposed_by_then() -> None:
    def reached(benchmark: str, row: str, target: str, share: float) -> pd.Series:
        return pd.Series({"x": {0: 50.0, 1: 60.0}, "y": {0: 55.0}}[row]) if share < 1 else pd.Series(dtype=float)

    tests: Tests = {name: {"x": [90, 90], "y": [80, 80]} for name in "ab"}
    table = next(block for block in overall.blocks(runs(tests), {}, str, reached) if isinstance(block, Table))
    column = [column.title for column in table.columns].index("mean rank after, of the charge 10 %")
    assert {cells[0]: cells[column] for cells in table.rows} == {"x": "1.50", "y": "1.50"}


def test_the_figure_of_ranks_has_a_dot_and_an_interval_for_each_row() -> None:
    study = made_evidence.study([])
    small: MeanRanks = {"x": (2.0, None), "y": (1.5, statistics.Interval(1.0, 2.0))}
    panel = Figure().subplots()
    ranks._draw(study, {"10": small, "30": {"x": (1.0, None), "y": (3.0, None)}}, panel, {})
    lines = [(line.get_gid(), np.asarray(line.get_xdata()).tolist()) for line in panel.lines if line.get_gid()]
    assert {gid for gid, _ in lines} == {"row=x", "row=y"} and len(lines) == 8, "by row and budget an interval and a dot"
    assert [(gid, xs) for gid, xs in lines if len({*xs}) == 2] == [("row=y", [1.0, 2.0])]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["x", "y"], "by the largest budget"
    assert panel.get_legend_handles_labels()[1] == ["10", "30"]


def test_two_reports_of_one_benchmark_under_two_budgets_are_not_mixed(tmp_path: Path) -> None:
    for name, gain in (("p", 0), ("p-budget", 5)):
        (tmp_path / name).mkdir()
        frame = runs({"a": {"x": [90 + gain], "y": [80]}, "b": {"x": [90 + gain], "y": [80]}})
        frame.to_parquet(tmp_path / name / "runs.parquet")
    blocks, _ = html._overall([tmp_path / "p", tmp_path / "p-budget"], [{"p": ["a", "b"]}] * 2)
    (table,) = (block for block in blocks if isinstance(block, Table))
    titles = {column.title for column in table.columns}
    assert {f"mean rank on {name} ({folder})" for name in "ab" for folder in ("p", "p-budget")} <= titles


def test_the_same_benchmark_under_two_protocols_is_named_with_its_protocol() -> None:
    frame = pd.concat([runs(TWO), runs({"a": TWO["a"]}, protocol="q")])
    assert "mean rank on a (q)" in to_markdown("", overall.blocks(frame, {}))
