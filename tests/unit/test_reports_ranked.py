"""Results without published numbers: the order, what is bold, the marks, medians, and what belongs to a common budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis import published
from harness.analysis.evidence import FITTED, Evidence, Part
from harness.analysis.pairs import LEVEL
from harness.analysis.ranks import by_budget
from harness.analysis.reference import at_own_charge
from harness.analysis.statistics import holm, paired
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Trace, Traces
from reports import anytime, findings, ranked, reading, reference, report
from reports.figures import Panel
from reports.formats import number
from reports.layout import Bold, Table
from tests import made_evidence

BENCHMARK, TARGET = "nb201/digits", "digits"
BUDGET = "10 mean trainings, 16.4 seconds"
CHARGED: Mapping[str, Any] = {"seconds": 16.0, "queries": 0, "epochs": 30.0}
FREE: Mapping[str, Any] = {"seconds": 0.0, "queries": 0, "epochs": 0.0}
KINDS = {"random_search": "multi-trial", "evolution": "multi-trial"}


def evidence(rows: Mapping[str, Sequence[float]], budgets: Sequence[str] = (BUDGET, BUDGET), **more: Any) -> Evidence:
    """Return runs with these test accuracies; rows of :data:`KINDS` query, the others share weights."""
    lines = [
        made_evidence.run(
            BENCHMARK, row, world, TARGET, test, kind=KINDS.get(row, "one-shot"), regret=95.33 - test,
            **(FREE if row.startswith("random_cell") else CHARGED),
        )
        for row, tests in rows.items()
        for world, test in enumerate(tests)
    ]  # fmt: skip
    facts: dict[str, Any] = {"judge": {TARGET: "x-test"}, "optimum": {TARGET: 95.33}, "training_seconds": 1.64}
    parts = [
        Part(BENCHMARK, kind, budget=budget, at_the_limit=kind if budget[0].isdigit() else "", settings=settings, **facts)
        for kind, settings, budget in zip(
            ("multi-trial", "one-shot"), ({}, {row: {"epochs": 50} for row in rows}), budgets, strict=True
        )
    ]
    made = made_evidence.evidence(lines, None, *parts, known_rows=tuple(rows))
    traces = {(BENCHMARK, row): [trace(row, world, test) for world, test in enumerate(rows[row])] for row in rows}
    return dataclasses.replace(made, traces=Traces(traces), **more)


def trace(row: str, world: int, test: float) -> Trace:
    """Return a search that proposes a poor cell at first, and logs twelve epochs if it shares weights."""
    log: Columns = {"trained_epochs": np.array([12.0])} if row not in KINDS and not row.startswith("random_cell") else {}
    end = FREE["seconds"] if row.startswith("random_cell") else 160.0 if row in KINDS else 16.0
    return Trace(world, [end / 100, end / 2], {TARGET: [50.0, test]}, queries=[1, 2], end=end, spent_queries=3, log=log)


def study_of(made: Evidence) -> Study:
    return Study(made, published.load())


def results(rows: Mapping[str, Sequence[float]], budgets: Sequence[str] = (BUDGET, BUDGET)) -> Table:
    return ranked.results(study_of(evidence(rows, budgets)), BENCHMARK)


def column(table: Table, name: str) -> dict[str, str]:
    position = [column.name for column in table.columns].index(name)
    return {row[0]: row[position] for row in table.rows}


TWELVE = np.arange(12) / 10
"""Differences between worlds, so that twelve paired differences may be significant."""
ROWS: dict[str, list[float]] = {
    "random_search": [*(90 + TWELVE)],
    "evolution": [*(91 + TWELVE)],
    "darts": [*(92 + TWELVE)],
    "gaea": [*(93 + TWELVE[:6]), 94.0, *(91 + TWELVE[7:])],
    "enas": [*(80 + TWELVE)],
    "random_cell": [95.0] * 12,
}


def test_rows_are_sorted_within_the_groups_and_the_floor_is_not_ranked() -> None:
    table = results(ROWS)
    assert [row[0] for row in table.rows] == ["evolution", "random_search", "gaea", "darts", "enas", "random_cell", "Optimal"]
    assert table.rules == {0: "multi-trial", 2: "weight sharing", 5: ranked.FLOOR, 6: ""}
    means = column(table, "test")
    assert [row for row, text in means.items() if isinstance(text, Bold)] == ["darts"] or means["gaea"] > means["darts"]
    assert not isinstance(means["random_cell"], Bold), "the floor is no method"
    assert column(table, "charged s")["random_cell"] == "0" and column(table, "charged s")["darts"] == "≈ 16.0"


@settings(max_examples=25)
@given(
    rows=st.dictionaries(
        st.sampled_from(["random_search", "evolution", "darts", "gaea", "enas", "random_cell"]),
        st.lists(st.floats(5, 99), min_size=3, max_size=3),
        min_size=1,
    )
)
def test_the_best_printed_mean_is_bold_and_every_group_falls(rows: dict[str, list[float]]) -> None:
    table = results(rows)
    means = {row: float(np.mean(tests)) for row, tests in rows.items()}
    competing = {row: mean for row, mean in means.items() if row != "random_cell"}
    bold = {row for row, text in column(table, "test").items() if isinstance(text, Bold)}
    assert bold == {row for row, mean in competing.items() if number(mean) == number(max(competing.values()))}
    order = [row[0] for row in table.rows if row[0] != "Optimal"]
    for first, second in pairwise(order):
        same = (KINDS.get(first), first == "random_cell") == (KINDS.get(second), second == "random_cell")
        assert not same or means[first] >= means[second]


def test_marks_are_the_signs_of_corrected_paired_differences() -> None:
    """Against random search and against the best row, by Holm over each family (here, one family)."""
    table = results(ROWS)
    rows = ["evolution", "darts", "gaea", "enas"]
    base, best = (pd.Series(ROWS[row]) for row in ("random_search", "darts"))
    for name, other, compared in (
        ("vs random search", base, rows),
        ("vs best", best, ["random_search", "evolution", "gaea", "enas"]),
    ):
        pairs = [paired(pd.Series(ROWS[row]), other) for row in compared]
        corrected = holm([pair.p for pair in pairs if pair])
        expected = {
            row: ("+" if pair.difference > 0 else "−") if p < LEVEL else ""
            for row, pair, p in zip(compared, pairs, corrected, strict=True)
            if pair
        }
        marks = column(table, name)
        assert {row: marks[row] for row in compared} == expected
    assert column(table, "vs random search")["enas"] == "−" and column(table, "vs random search")["darts"] == "+"
    assert column(table, "vs best")["gaea"] == "", "not different in every world"
    assert "random search, or than the best row" in table.caption


def test_without_possible_significance_there_are_no_marks_and_the_caption_says_so() -> None:
    table = results({row: tests[:3] for row, tests in ROWS.items()})
    assert not {"vs random search", "vs best"} & {column.name for column in table.columns}
    assert "3 seeds cannot show a difference on digits at the 5 % level: the smallest possible p is 0.25." in table.caption
    assert "significantly" not in table.caption


def test_a_row_with_too_few_pairs_has_no_blank_that_reads_as_no_difference() -> None:
    """Twelve seeds decide two rows without a variant name, but three seeds decide no row, and no family of three seeds."""
    few = {"enas": ROWS["enas"][:3], "gaea:x": ROWS["gaea"][:3], "gaea:y": ROWS["gaea"][:3]}
    table = results({"random_search": ROWS["random_search"], "darts": ROWS["darts"], **few})
    marks = column(table, "vs random search")
    assert marks == {"random_search": "", "darts": "+", "Optimal": ""} | dict.fromkeys(few, "n/a")
    assert "n/a: too few seeds to show a difference." in table.caption
    assert "n/a" not in str(results(ROWS).rows)


def test_the_main_finding_counts_the_rows_that_the_seeds_decide_and_says_where_random_search_is_read() -> None:
    rows = {"random_search": ROWS["random_search"], "darts": ROWS["darts"], "enas": ROWS["enas"][:3]}
    best, gain, counts = findings.sentences(study_of(evidence(rows, ("5 seconds", "each method's own schedule"))))
    assert best.startswith("digits: the best mean test accuracy is that of darts, 92.55 [")
    assert "darts differs from random search at its charge by +42.55 [" in gain
    assert counts.endswith("(p < 0.05): 1 of 1 rows; worse: none. Rows with too few seeds to show a difference: 1.")
    _, gain, _ = findings.sentences(study_of(evidence(rows)))
    assert "darts differs from random search by +2.00" in gain


def test_of_equal_printed_means_the_higher_one_is_the_best_row() -> None:
    rows = {"darts": [*(90 + TWELVE)], "enas": [*(90.001 + TWELVE)], "gaea": [*(89 + TWELVE)], "random_search": [90.0] * 12}
    study = study_of(evidence(rows))
    assert ranked.leaders(study, BENCHMARK, TARGET) == ["enas", "darts"]
    bold = [row for row, text in column(ranked.results(study, BENCHMARK), "test").items() if isinstance(text, Bold)]
    assert sorted(bold) == ["darts", "enas"]
    best = ranked._against_best(study, BENCHMARK)[TARGET]
    assert best.rows == ["random_search", "gaea"] and best.pairs["gaea"].difference == pytest.approx(-1.001)


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        ([93.0, 93.2, 93.1], ""),
        ([93.0, 93.2, 15.0], "93.00 (1 at chance)"),  # 1.5 times guessing among ten classes
        ([93.0, 93.2, 15.1], "93.00"),
        ([93.0, 93.0, 90.1], ""),  # the mean is 0.97 below the median
        ([93.0, 93.0, 89.9], "93.00"),
        ([10.0, 10.0, 10.0], "10.00 (3 at chance)"),
        ([], ""),
    ],
)
def test_a_median_is_shown_if_the_mean_alone_would_mislead(tests: list[float], text: str) -> None:
    study = study_of(evidence({"darts": tests} if tests else {"gaea": [90.0]}))
    assert ranked.median(study, BENCHMARK, "darts", TARGET) == text


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_the_difference_of_mean_and_median_never_exceeds_a_standard_deviation(tests: list[float]) -> None:
    """The rule for medians is in points for this reason."""
    assert abs(np.mean(tests) - np.median(tests)) <= np.std(tests) + 1e-9


def test_epochs_and_marks_against_the_best_belong_to_a_common_budget() -> None:
    table = results(ROWS)
    assert (column(table, "trained epochs")["darts"], column(table, "schedule's epochs")["darts"]) == ("12.0", "50")
    assert column(table, "trained epochs")["evolution"] == "" and column(table, "trained epochs")["random_cell"] == ""
    for budgets in ((BUDGET, "each method's own schedule"), (BUDGET, "5 seconds"), ("each method's own schedule",) * 2):
        other = results(ROWS, budgets)
        assert not {"trained epochs", "vs best"} & {column.name for column in other.columns}
        assert column(other, "random search at its charge")["darts"] == "50.00 ± 0.00", "at 16 of its 160 s"
        assert column(other, "random search at its charge")["evolution"] == ""
        assert column(other, "vs random search")["enas"] == "+", "random search is compared at the row's charge"
        assert "random search is compared at the charge of a row of weight sharing" in str(reading.explained([other]))


def test_with_a_common_budget_rows_are_compared_with_the_end_of_random_search() -> None:
    study = study_of(evidence(ROWS))
    assert at_own_charge(study, BENCHMARK) == []
    table = reference.table(study, BENCHMARK)
    assert table is not None and "own schedules" not in table.caption
    assert {row[0] for row in table.rows} == {"evolution", "darts", "gaea", "enas"}
    assert next(row for row in table.rows if row[0] == "enas")[3].startswith("−10.00")


def fitted(limits: Sequence[float], rows: Sequence[str] = ("darts", "enas")) -> pd.DataFrame:
    lines = [
        (BENCHMARK, row, "seconds", limit, world, TARGET, 95.33 - 10 / limit * (1 + world))
        for row in rows
        for limit in limits
        for world in range(3)
    ]
    return pd.DataFrame(lines, columns=list(FITTED))


def test_searches_fitted_to_several_budgets_are_dots_over_mean_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Panel] = []

    def collect(study: Study, panels: Sequence[Panel]) -> dict[str, bytes]:
        drawn.extend(panels)
        return {}

    monkeypatch.setattr(anytime, "render", collect)
    longest = Traces({(BENCHMARK, "random_search"): [Trace(0, [1.64, 164.0], {TARGET: [60.0, 94.0]}, end=328.0)]})
    made = evidence(ROWS, fitted=fitted([16.4, 49.2]), longest=longest)
    drawing = anytime.regret(study_of(made), made.traces)
    assert drawing is not None and "schedules were fitted" in drawing.caption
    (panel,) = drawn
    assert panel.x == "budget (mean trainings of 1.64 s)"
    lines = lines_of(panel, [*ROWS])
    places, means = lines["darts"]
    assert places == pytest.approx(np.array([10, 30]) * places[0] / 10) and abs(places[0] - 10) < 1
    assert means == pytest.approx([10 / 16.4 * 2, 10 / 49.2 * 2])
    assert max(lines["random_search"][0]) == pytest.approx(200), "the curve reaches its largest budget in the store"
    assert len(lines["gaea"][0]) > 2, "a row without fitted searches stays a curve"

    drawn.clear()
    alone = evidence(ROWS, fitted=fitted([16.4]), longest=longest)
    drawing = anytime.regret(study_of(alone), alone.traces)
    assert drawing is not None and "fitted" not in drawing.caption and drawn[0].x == "charged search time (s)"
    assert max(lines_of(drawn[0], [*ROWS])["random_search"][0]) == pytest.approx(160)


def test_ranks_by_budget_are_those_of_the_rows_and_seeds_that_every_budget_has() -> None:
    searches = [Trace(world, [1.64, 30.0], {TARGET: [94.9, 60.0]}, end=328.0) for world in range(2)]
    longest = Traces({(BENCHMARK, "random_search"): searches})
    lines = pd.concat([fitted([16.4, 49.2]), fitted([16.4], ["xnas"])])
    made = evidence({row: ROWS[row] for row in ("random_search", "darts", "enas")}, fitted=lines, longest=longest)
    small, large = by_budget(study_of(made), made.traces, BENCHMARK).items()
    assert (small[0], large[0]) == ("10 mean trainings", "30 mean trainings")
    assert {row: mean for row, (mean, _) in small[1].items()} == {"random_search": 1.0, "darts": 2.5, "enas": 2.5}
    assert {row: mean for row, (mean, _) in large[1].items()} == {"random_search": 3.0, "darts": 1.5, "enas": 1.5}
    alone = evidence(ROWS, fitted=fitted([16.4]), longest=longest)
    assert by_budget(study_of(alone), alone.traces, BENCHMARK) == {}


def lines_of(panel: Panel, rows: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Draw a panel, and return the coordinates of the line of each row."""
    from matplotlib.figure import Figure

    handles = panel.draw(Figure().subplots(), {row: {"color": "black"} for row in rows})
    return {row: (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for row, line in handles.items()}


def test_the_page_of_a_common_budget_is_whole(tmp_path: Any) -> None:
    files = {path.name for path in report.write(tmp_path, evidence(ROWS))}
    text = (tmp_path / "table.md").read_text()
    assert "regret.pdf" in files and "ranks.pdf" not in files
    sentence = (
        f"All rows had the same budget: {BUDGET}. A mean training is that of an average architecture, 1.64 charged seconds."
    )
    assert text.count(sentence) == 1 and text.index("## Results") < text.index(sentence) < text.index("| method")
    assert text.index("| method") < text.index("](ranking.png)"), "the table is before the figures"
    assert "At the limit: multi-trial: multi-trial; weight sharing: weight sharing." in text
    assert text.count("**Epochs and image passes:**") == 1 and "| own schedule" not in text
    assert "At equal charged seconds" not in text and "own charge" not in text
    assert text.count("| *weight sharing*") == 1
