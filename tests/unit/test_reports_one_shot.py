"""Reports of weight sharing: epoch by epoch with the base method, on one clock, at equal budget, and the final cells."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nb201.space import NB201Space
from harness.analysis import published
from harness.analysis.epochs import families, logged, proposed
from harness.analysis.evidence import Cell, Edge, Evidence, Operation, Part, Space
from harness.analysis.reference import at_own_charge, values
from harness.analysis.study import Study
from harness.analysis.traces import Search, Trace, Traces
from harness.frames import depict
from reports import anytime, cells, clock, epochs, figures, ranked, reading, reference, report, signal, style, tables
from reports.layout import Paragraph, Table
from tests import made_evidence

SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
GOOD = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
BENCHMARK = "nb201/cifar10"
SEARCHES = {  # epochs, charged seconds each, entropy at the end, test accuracy at the end, cell
    "darts:bilevel": (50, 100.0, 0.9, 54.3, SKIPS),
    "darts:erm": (25, 100.0, 0.8, 84.0, SKIPS),
    "gaea_darts:bilevel": (25, 100.0, 0.1, 91.6, GOOD),
    "gaea_darts:erm": (25, 200.0, 0.2, 94.1, GOOD),
    "rsps": (20, 50.0, None, 88.0, GOOD),
}
KNOWN = (*sorted(SEARCHES), "enas")
WORLDS = 5

StudyAndTraces = tuple[Study, Traces]


COMPARED = {"gaea_darts:bilevel": "darts:bilevel", "gaea_darts:erm": "darts:erm", "gaea_pc_darts": "pc_darts"}
NB201 = {BENCHMARK: depict(NB201Space(), [SKIPS, GOOD])}


def trace(row: str, world: int) -> Trace:
    if row == "random_search":
        tests = {"cifar10": np.array([80.0, 93.0])}
        return Trace(world, np.array([10.0, 600.0]), tests, queries=[1, 50], end=1000.0 + world, spent_queries=99)
    count, charged, entropy, test, _ = SEARCHES[row]
    epoch = np.arange(1, count + 1)
    seconds = charged * epoch
    changes = seconds[-1:] + 30 if row == "rsps" else seconds
    accuracies = np.array([test + world / 10]) if row == "rsps" else np.linspace(10 + world / 10, test + world / 10, count)
    log: dict[str, np.ndarray] = {"epoch": epoch, "seconds": seconds, "epochs": epoch}
    if entropy is not None:
        log["entropy"] = np.linspace(1, entropy + world / 100, count)
    return Trace(world, changes, {"cifar10": accuracies}, queries=changes * 0, end=changes[-1], spent_queries=0, log=log)


def searches(change: Callable[[str, Trace], Trace] = lambda row, trace: trace, multi_trial: bool = True) -> Traces:
    """Return the traces of all searches, after a change."""
    rows = [*SEARCHES, *(["random_search"] if multi_trial else [])]
    return Traces({(BENCHMARK, row): [change(row, trace(row, world)) for world in range(WORLDS)] for row in rows})


def lines(*rows: str, archs: Mapping[str, str] | None = None, worlds: int = WORLDS) -> list[dict[str, Any]]:
    """Return the runs of some rows; rows that :data:`SEARCHES` does not know are like ``rsps``."""
    runs = []
    for row in rows:
        for world in range(worlds):
            known = row if row in SEARCHES or row == "random_search" else "rsps"
            search = trace(known, world)
            test, arch = search.test["cifar10"][-1], (archs or {}).get(row, SEARCHES[known][-1] if known in SEARCHES else GOOD)
            more = {"kind": "multi-trial" if row == "random_search" else "one-shot", "arch": arch, "regret": 94.37 - test}
            more |= {"seconds": search.end, "epochs": 50.0, "wall_seconds": 7.0, "rank": 5.0, "queries": 0}
            runs.append(made_evidence.run(BENCHMARK, row, world, "cifar10", test, **more))
    return runs


def evidence(*rows: str, multi_trial: bool = True, protocol: str = "gaea-2021", **more: Any) -> Evidence:
    """Return the evidence of :data:`SEARCHES`, or of other rows."""
    named = rows or (*SEARCHES, *(["random_search"] if multi_trial else []))
    part = Part(
        BENCHMARK, "one-shot", judge={"cifar10": "ori-test"}, optimum={"cifar10": 94.37},
        planned=dict.fromkeys(SEARCHES, WORLDS),
        estimate={"clock:training": "142.0 us an image; R2 0.993, residual 8.1 us"},
        settings={row: {"objective": row.rpartition(":")[2], "epochs": n} for row, (n, *_) in SEARCHES.items()},
    )  # fmt: skip
    facts = {"protocol": protocol, "title": "GAEA", "compared_with": COMPARED, **more}
    runs = made_evidence.evidence(lines(*named), None, part, spaces=NB201, **facts)
    return dataclasses.replace(runs, traces=searches(multi_trial=multi_trial))


def study_of(evidence: Evidence) -> Study:
    return Study(evidence, published.load())


def test_a_panel_has_as_many_lines_as_are_legible_and_each_has_the_reference() -> None:
    assert [name for name, _ in figures.groups(study_of(evidence(known_rows=KNOWN)), BENCHMARK)] == [""]
    more = [f"rsps[lr={k}]" for k in range(9)]
    study = study_of(evidence(*SEARCHES, "random_search", *more, "enas", known_rows=KNOWN))
    panels = figures.groups(study, BENCHMARK)
    assert panels[0][0] == ", darts" and panels[-1][0] == ", other weight sharing"
    looks = style.of_rows(study).looks
    for _, rows in panels:
        assert rows[0] == "random_search" and len(rows) <= figures.READABLE
        assert len({looks[row]["color"] for row in rows}) == len(rows), "no two rows of a panel have the same colour"
    assert {row for _, rows in panels for row in rows[1:]} == {*SEARCHES, *more, "enas"}
    assert set(panels[0][1]) == {"random_search", *(row for row in SEARCHES if "darts" in row)}


def test_a_row_that_finds_no_room_with_its_base_has_a_panel_with_the_base() -> None:
    known = tuple(f"darts:{k}" for k in range(8))
    study = study_of(evidence(*known, "random_search", known_rows=known))
    first, second = (rows for _, rows in figures.groups(study, BENCHMARK))
    assert first[1] == "darts:0" and "darts:0" in second and {*first, *second} == {*known, "random_search"}


ROWS = st.sampled_from("abcdefghijklmnop").flatmap(
    lambda name: st.lists(st.sampled_from(["", ":x", ":y", ":z"]), unique=True, min_size=1).map(
        lambda variants: [name + variant for variant in variants]
    )
)


@given(methods=st.lists(ROWS, min_size=1, max_size=16, unique_by=lambda rows: rows[0][0]), data=st.data())
def test_rows_that_are_drawn_together_have_different_colours(methods: list[list[str]], data: st.DataObject) -> None:
    known = [row for rows in methods for row in rows]
    firsts = [rows[0] for rows in methods]
    bases = {rows[-1]: data.draw(st.sampled_from(firsts)) for rows in methods if data.draw(st.booleans())}
    bases = {row: base for row, base in bases.items() if base not in bases and row != base}
    places = style.places(known, bases, "random_search")
    assert sorted(places) == sorted(known) and len(set(places.values())) == len(known)
    styles = style.looks(known, places, "random_search")
    blocks: dict[int, list[str]] = {}
    for row, place in places.items():
        blocks.setdefault(place // style.BLOCK, []).append(row)
    for rows in blocks.values():
        assert len({styles[row]["color"] for row in rows}) == len(rows)
    for base in set(bases.values()):
        family = [base, *(row for row in bases if bases[row] == base)]
        if len(family) <= style.BLOCK:
            assert len({places[row] // style.BLOCK for row in family}) == 1, "a row is drawn beneath the row that it changes"


@pytest.fixture
def study() -> StudyAndTraces:
    default = evidence()
    return study_of(default), default.traces


def row_of(table: Table | None, *start: str) -> dict[str, str]:
    assert table is not None
    (cells,) = [row for row in table.rows if row[: len(start)] == list(start)]
    return dict(zip([column.name for column in table.columns], cells, strict=True))


def test_each_method_is_drawn_with_the_method_that_it_changes(study: StudyAndTraces) -> None:
    assert families(study[0], BENCHMARK) == {
        "darts:bilevel": ["darts:bilevel", "gaea_darts:bilevel"],
        "darts:erm": ["darts:erm", "gaea_darts:erm"],
    }


@pytest.mark.parametrize(
    ("bases", "row", "base"),
    [
        (["pc_darts[epochs=2]"], "gaea_pc_darts[epochs=2, warmup=0.5]", "pc_darts[epochs=2]"),
        (["pc_darts", "pc_darts[epochs=2]"], "gaea_pc_darts[epochs=2]", "pc_darts[epochs=2]"),
        (["pc_darts", "pc_darts[epochs=2]"], "gaea_pc_darts[epochs=3]", "pc_darts"),
        (["pc_darts[epochs=2]", "pc_darts[epochs=4]"], "gaea_pc_darts[epochs=3]", None),
        (["darts:erm[epochs=2]", "darts[epochs=2]"], "gaea_darts:bilevel[epochs=2]", "darts[epochs=2]"),
    ],
)
def test_rows_with_changed_settings_have_a_base_too(bases: list[str], row: str, base: str | None) -> None:
    study = study_of(evidence(*bases, row, first_rows={"darts": "darts:bilevel"}))
    assert families(study, BENCHMARK) == ({base: [base, row]} if base else {})


def test_the_proposal_at_an_epoch_is_the_one_in_force_when_it_ended() -> None:
    def search(row: str) -> Search:
        (only,) = Traces({(BENCHMARK, row): [trace(row, 0)]}).of(BENCHMARK, row).logging()
        return only

    gaea = search("gaea_darts:erm")
    curve = proposed(gaea, "cifar10")
    assert curve.index.tolist() == list(range(1, 26))
    assert curve.iloc[-1] == pytest.approx(94.1) and curve.iloc[0] == 10
    late = gaea._replace(seconds=gaea.seconds + 1)  # each a second after its epoch: no proposal at the end of the first
    assert proposed(late, "cifar10").empty
    assert proposed(search("rsps"), "cifar10").empty, "it proposes at its end only"


def test_the_entropy_falls_faster_or_not_over_common_epochs(study: StudyAndTraces) -> None:
    table = epochs.entropies(*study, BENCHMARK)
    faster = row_of(table, "gaea_darts:bilevel")
    assert (faster["base"], faster["common epochs"], faster["falls faster"]) == ("darts:bilevel", "25", "yes")
    assert faster["difference [95 %]"].startswith("−")
    slower = searches(lambda row, trace: with_entropy(trace, 0.95) if row.startswith("gaea") else trace)
    assert row_of(epochs.entropies(study[0], slower, BENCHMARK), "gaea_darts:erm")["falls faster"] == "no"


def with_entropy(trace: Trace, end: float) -> Trace:
    return dataclasses.replace(trace, log={**trace.log, "entropy": np.linspace(1, end, len(trace.log["epoch"]))})


def test_a_method_without_a_distribution_has_no_entropy_rather_than_zero(study: StudyAndTraces) -> None:
    assert logged(trace("rsps", 0).log, "entropy").empty
    without = searches(
        lambda row, trace: dataclasses.replace(trace, log={k: v for k, v in trace.log.items() if k != "entropy"})
    )
    assert set(row_of(epochs.entropies(study[0], without, BENCHMARK), "gaea_darts:erm").values()) >= {"–", "0"}
    assert epochs.entropy(study[0], without) is None


def test_final_cells_are_counted(study: StudyAndTraces) -> None:
    table = cells.operations(*study, BENCHMARK)
    skips, good = row_of(table, "darts:bilevel"), row_of(table, "gaea_darts:erm")
    assert (skips["skip connections"], skips["collapsed"]) == ("6.0 ± 0.0", "100")
    assert (good["skip connections"], good["none"], good["convolutions"], good["collapsed"]) == (
        "1.0 ± 0.0", "1.0 ± 0.0", "3.0 ± 0.0", "0",
    )  # fmt: skip
    assert row_of(table, "rsps")["entropy at the end"] == "n/a"
    assert good["entropy at the end"] == "0.220 ± 0.014"
    assert table is not None and "random_search" not in {row[0] for row in table.rows}


WAYS = {"wide": Operation("wide", "W", "convolution"), "pass": Operation("pass", "P", "identity")}
TOY = Space(
    title="toy space",
    legend="Nodes are numbered.",
    operations=WAYS,
    drawn={
        "a": (Cell(("in", "0", "out"), (Edge(0, 1, WAYS["wide"]), Edge(1, 2, WAYS["pass"]), Edge(0, 2, WAYS["pass"]))),),
        "b": (Cell(("in", "0", "out"), (Edge(0, 1, WAYS["pass"]), Edge(1, 2, WAYS["pass"]), Edge(0, 2, WAYS["pass"]))),),
    },
)


def test_the_cells_of_any_space_are_counted_and_drawn() -> None:
    rows = evidence("mine", "random_search")
    runs = made_evidence.frame(lines("mine", "random_search", archs={"mine": "a", "random_search": "b"}))
    toy = study_of(dataclasses.replace(rows, runs=runs, spaces={BENCHMARK: TOY}))
    table = cells.operations(toy, rows.traces, BENCHMARK)
    assert table is not None and "edges, out of three" in table.caption
    assert [row[:4] for row in table.rows] == [["mine", "5", "1", "2.0 ± 0.0"]]
    drawing = cells.most_common(toy, rows.traces)
    assert (
        drawing is not None and drawing.files["png"].startswith(b"\x89PNG") and drawing.caption.endswith("Nodes are numbered.")
    )
    assert cells.first(toy, rows.traces) is None, "the judge knows their accuracies"


def ending(row: str, end: float) -> Traces:
    """Return the traces of all searches; those of one row end then."""
    return searches(lambda name, trace: dataclasses.replace(trace, end=end) if name == row else trace)


def with_traces(traces: Traces, **more: Any) -> Study:
    return study_of(dataclasses.replace(evidence(**more), traces=traces))


def test_random_search_is_read_at_the_charge_of_each_row_with_its_own_schedule(study: StudyAndTraces) -> None:
    assert at_own_charge(study[0], BENCHMARK) == study[0].shared_weights(BENCHMARK)
    early = with_traces(ending("rsps", 300.0))
    assert tables.at_charge(early, BENCHMARK, "rsps", "cifar10") == "80.00 ± 0.00"
    assert row_of(reference.table(early, BENCHMARK), "rsps")["difference [95 %]"].startswith("+8.20")
    assert tables.at_charge(study[0], BENCHMARK, "random_search", "cifar10") == ""
    alone = study_of(evidence(multi_trial=False))
    assert not at_own_charge(alone, BENCHMARK) and reference.table(alone, BENCHMARK) is None


@pytest.mark.parametrize(
    ("end", "text", "pairs"),
    [
        (5.0, "–", "0"),  # before the first proposal of random search, after 10 s
        (10.0, "80.00 ± 0.00", "5"),
        (999.0, "93.00 ± 0.00", "5"),
        (1000.0, "93.00 ± 0.00", "5"),  # the search of world 0 ends here, that of world 1 after 1001 s, and so on
        (1001.5, "93.00 ± 0.00 (n = 3)", "3"),
        (1004.0, "93.00 (n = 1)", "1"),
        (1004.5, "–", "0"),
    ],
)
def test_a_world_without_random_search_at_the_charge_is_left_out_and_the_cell_says_so(
    end: float, text: str, pairs: str
) -> None:
    study = with_traces(ending("rsps", end))
    assert tables.at_charge(study, BENCHMARK, "rsps", "cifar10") == text
    assert row_of(reference.table(study, BENCHMARK), "rsps")["pairs"] == pairs
    table = ranked.results(study, BENCHMARK)
    assert row_of(table, "rsps")["random search at its charge"] == text
    assert "no proposal by then, or had ended before, are left out. n: " in str(reading.explained([table]))


@given(end=st.floats(0.1, 1100.0))
def test_random_search_at_a_charge_is_its_proposal_in_the_worlds_where_that_is_known(end: float) -> None:
    series = values(with_traces(ending("rsps", end)), BENCHMARK, "rsps", "cifar10")
    expected = {world: 93.0 if end >= 600 else 80.0 for world in range(WORLDS) if 10 <= end <= 1000 + world}
    assert series.to_dict() == expected


def test_the_papers_table_has_random_search_at_the_charge_of_weight_sharing(study: StudyAndTraces) -> None:
    row = row_of(ranked.results(with_traces(ending("gaea_darts:erm", 900.0)), BENCHMARK), "gaea_darts:erm")
    assert row["random search at its charge"] == "93.00 ± 0.00"
    row = row_of(ranked.results(study[0], BENCHMARK), "gaea_darts:erm")
    assert row["random search at its charge"] == "–", "it is charged 5 000 s, and random search ended after 1 000"


def test_a_comparison_that_cannot_be_significant_says_so() -> None:
    table = reference.table(with_traces(ending("rsps", 900.0)), BENCHMARK)
    assert table is not None and "seeds cannot show a difference on CIFAR-10 at the 5 % level" in table.caption
    assert "their own schedules" in table.caption


def free_of_charge(multi_trial: bool = True) -> Traces:
    """Return the traces of all searches; those of ``rsps`` propose at once and are charged nothing, as a random cell."""

    def change(row: str, trace: Trace) -> Trace:
        return dataclasses.replace(trace, end=0.0, seconds=np.zeros_like(trace.seconds)) if row == "rsps" else trace

    return searches(change, multi_trial)


def with_free_row() -> Study:
    """Return the study of all searches; the row ``rsps`` is charged nothing."""
    free = evidence(known_rows=KNOWN)
    runs = free.runs.copy()
    runs.loc[runs["row"] == "rsps", ["queries", "seconds", "epochs"]] = 0
    return study_of(dataclasses.replace(free, runs=runs, traces=free_of_charge()))


def test_a_row_that_is_charged_nothing_is_no_method_to_compare() -> None:
    study = with_free_row()
    assert study.free(BENCHMARK, "rsps") and not study.free(BENCHMARK, "random_search")
    assert "rsps" not in at_own_charge(study, BENCHMARK)
    table = reference.table(study, BENCHMARK)
    assert table is not None and "rsps" not in {row[0] for row in table.rows}


def test_a_row_that_is_charged_nothing_is_a_level_line_on_the_axis_of_the_others() -> None:
    study = with_free_row()
    with panels_of(study) as panels:
        drawing = anytime.regret(study, study.evidence.traces)
    assert drawing is not None
    (panel,) = panels
    assert panel.get_xlim()[0] > 1, "the axis begins near the first charge of the other rows"
    level = 94.37 - np.mean([88.0 + world / 10 for world in range(WORLDS)])
    levels = [list(line.get_ydata()) for line in panel.lines if len(line.get_ydata()) == 2]
    assert levels == [pytest.approx([level, level])]


@contextmanager
def panels_of(study: Study) -> Iterator[list[Any]]:
    """Collect the axes that figures draw."""
    axes: list[Any] = []
    draw = figures.render

    def rendered(study: Study, panels: Sequence[figures.Panel], across: int = 2) -> dict[str, bytes]:
        def drawing(panel: figures.Panel) -> Callable[..., dict[str, Any]]:
            def onto(axis: Any, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
                axes.append(axis)
                return panel.draw(axis, looks)

            return onto

        return draw(study, [panel._replace(draw=drawing(panel)) for panel in panels], across)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anytime, "render", rendered)
        yield axes


def test_charged_published_and_measured_seconds_are_in_one_table(study: StudyAndTraces) -> None:
    table = clock.costs(study[0], BENCHMARK)
    row = row_of(table, "gaea_darts:erm")
    assert row["charged s (estimate)"] == "5 000"
    assert row["published"] == "9 061"
    assert (row["measured wall s"], row["device"]) == ("7.0", "cpu")
    assert table is not None and "estimate by extrapolation" in table.caption and "R2 0.993, residual" in table.caption


def test_objectives_say_what_else_differs(study: StudyAndTraces) -> None:
    table = signal.objectives(study[0], BENCHMARK)
    assert row_of(table, "darts:bilevel against darts:erm")["other settings that differ"] == "epochs 50 / 25"
    assert row_of(table, "gaea_darts:bilevel against gaea_darts:erm")["other settings that differ"] == "–"


def test_tests_of_entropy_and_of_objectives_are_corrected_and_say_what_they_cannot_show(study: StudyAndTraces) -> None:
    for table, name in (
        (epochs.entropies(*study, BENCHMARK), "the entropy"),
        (signal.objectives(study[0], BENCHMARK), "CIFAR-10"),
    ):
        assert table is not None and len(table.rows) == 2
        smallest = 2 / 2**WORLDS
        assert [dict(zip([column.name for column in table.columns], row, strict=True))["p (Holm)"] for row in table.rows] == [
            f"{2 * smallest:.2f}"
        ] * 2
        assert f"{WORLDS} seeds cannot show a difference on {name} at the 5 % level" in table.caption


def test_everything_is_in_the_report(tmp_path: Path) -> None:
    files = {path.name for path in report.write(tmp_path, evidence())}
    assert {"accuracy_per_epoch.pdf", "entropy_per_epoch.png", "cells.pdf"} <= files
    text = (tmp_path / "table.md").read_text()
    for heading in (
        "Against random search",
        "Cost of weight sharing",
        "Entropy against the base",
        "Operations of the final",
    ):
        assert f"## {heading}" in text
    assert re.search(r"\| gaea_darts:erm .*\| +≈ 5 000 \|", text)
    assert not re.search(r"\b(nan|None)\b", text)


@pytest.mark.usefixtures("no_figures")
def test_published_validation_is_shown_if_a_paper_prints_it(tmp_path: Path) -> None:
    report.write(tmp_path, evidence(protocol="conas-2021", multi_trial=False))
    text = (tmp_path / "table.md").read_text()
    validation = text[text.index("## Intervals and costs") :]
    (head, row), test = (
        [[cell.strip() for cell in line.split("|")] for line in part.splitlines() if line.startswith(("| method", "| rsps "))][
            :2
        ]
        for part in (validation, text[text.index("## Next to the published numbers") :])
    )
    assert row[head.index("validation")] == "85.20 ± 0.14" and row[head.index("published validation")] == "80.42 ± 3.58"
    assert test[1][3:6:2] == ["88.20 ± 0.14", "84.07 ± 3.61"]


@pytest.mark.usefixtures("no_figures")
def test_a_search_that_ends_without_a_cell_says_of_which_epoch_its_proposal_is(tmp_path: Path) -> None:
    """An older proposal that a method chooses by design logs no flag, and is in no note."""

    def flagged(row: str, search: Trace) -> Trace:
        lasts = {"darts:erm": (25, 25, 25, 25, 25), "gaea_darts:erm": (25, 2, 25, 3, 2)}.get(row)
        if lasts is None:
            return search
        flags = np.array(search.log["epoch"]) <= lasts[search.world]
        return dataclasses.replace(search, log={**search.log, "proposed": flags.astype(float)})

    changed = dataclasses.replace(evidence(), traces=searches(flagged))
    (note,) = epochs.older(study_of(changed), BENCHMARK)
    expected = "in 3 of 5 searches of gaea_darts:erm the proposal is of epoch 2, 3 of 25. At its end such a search had no cell."
    assert note == Paragraph(f"Older proposals: {expected}")
    assert epochs.older(study_of(evidence()), BENCHMARK) == []
    written = report.write(tmp_path, changed)[0].read_text()
    assert f"\n\nOlder proposals: {expected}\n\n" in written.replace("\\_", "_")
