"""The scoreboard: every printed number once for each of our rows, with its verdict or its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis import claims, published
from harness.analysis.evidence import NOT_YET, Cell, Edge, Operation, Space
from harness.analysis.scoreboard import REPEATED, Comparison, Way, compare, numbers
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Trace
from harness.analysis.verdict import VERDICTS
from reports import scoreboard
from reports.layout import Block, Bullets, Heading, Linked, Table, to_markdown
from tests import made_evidence

DARTS, NB201 = "darts/cifar10", "nb201/cifar10"
PUBLISHED = published.load()
NO_GPU = Way("needs a GPU", "--protocol p")


def of(comparisons: Sequence[Comparison], row: str, metric: str, paper: str = "", target: str = "") -> Comparison:
    """Return the first comparison of a row and metric."""
    return next(
        item
        for item in comparisons
        if (item.row, item.line["metric"]) == (row, metric)
        and paper in ("", item.line["paper"])
        and target in ("", item.line["target"])
    )


def study(lines: list[dict[str, Any]], **more: Any) -> Study:
    return Study(made_evidence.evidence(lines, **{"protocol": "darts-as-published", **more}), PUBLISHED)


def found(row: str, world: int = 0, **columns: Any) -> dict[str, Any]:
    return made_evidence.run(DARTS, row, world, "cifar10", kind="one-shot", **columns)


def trained(row: str, accuracies: Sequence[float], **columns: Any) -> pd.DataFrame:
    stage = {"stage": "chosen_on_test", "chosen_by": "each", "chosen_on": "test", "row": row} | columns
    lines = [made_evidence.training(0, seed, accuracy, **stage) for seed, accuracy in enumerate(accuracies)]
    return pd.DataFrame(lines)


def test_every_line_is_there_once_for_each_of_its_rows_and_has_a_class() -> None:
    comparisons = compare([], PUBLISHED, lambda *_: NO_GPU)
    printed = [item for item in comparisons if item.line["metric"] not in ("params_M", "search_cost")]
    rows = [row for text, metric in zip(PUBLISHED["row"], PUBLISHED["metric"], strict=True) for row in text.split(";")]
    assert len(printed) == len(rows) - (PUBLISHED["metric"] == "search_cost").sum()
    assert all(item.kind and item.verdict.reason for item in comparisons)
    assert {item.kind for item in comparisons} == {"needs a GPU", *published.CLASSES}


def test_parameters_and_search_costs_are_numbers_of_their_own_once_for_each_printed_row() -> None:
    lines = [line for line in numbers(PUBLISHED) if line["metric"] in ("params_M", "search_cost")]
    keys = [(line["paper"], line["table"], line["label"], line["metric"], line["mean"]) for line in lines]
    assert len(keys) == len(set(keys)) and all(np.isfinite(line["mean"]) for line in lines)
    (ista,) = [line["mean"] for line in lines if line["paper"] == "001" and line["table"] == "text"]
    assert ista == 0.05, "the only number in the text of ISTA-NAS is a search cost"


def costs(paper: str, table: str) -> dict[tuple[str, float], str]:
    """Return the class of the search costs of a table, by label and value."""
    items = compare([], PUBLISHED, lambda *_: Way("", "--x"))
    return {
        (item.line["label"], item.line["mean"]): item.kind
        for item in items
        if (item.line["paper"], item.line["table"], item.line["metric"]) == (paper, table, "search_cost")
    }


def test_both_columns_of_search_costs_of_gaea_are_there() -> None:
    known = costs("003", "1")
    assert {("DARTS (2nd)†", 1.0), ("DARTS (2nd)†", 4.0), ("PC-DARTS†", 0.1), ("PC-DARTS†", 3.8)} <= set(known)
    assert {known["GAEA PC-DARTS†", cost] for cost in (0.1, 3.8)} == {NOT_YET}


def test_a_search_cost_needs_the_data_of_the_search_alone() -> None:
    lines = [line for line in numbers(PUBLISHED) if line["metric"] == "search_cost"]
    assert all(line["target"] == line["benchmark"].partition("/")[2] and not line["recipe"] for line in lines)
    nb201 = costs("003", "2")
    assert nb201["DARTS† (bilevel)", 10683.0] == NOT_YET
    assert nb201["DARTS‡ (bilevel)", 10683.0] == REPEATED, "the footnote: the cost of the CIFAR-10 search"


def test_a_number_that_a_paper_repeats_is_compared_once() -> None:
    items = compare([], PUBLISHED, lambda *_: NO_GPU)
    compared = [item for item in items if item.kind != REPEATED and not item.kind.startswith("setting")]
    names = ("paper", "benchmark", "target", "metric", "mean")
    keys = [(item.row, *(item.line[name] for name in names)) for item in compared]
    assert len(keys) == len(set(keys))
    assert {
        item.kind for item in items if (item.line["paper"], item.line["table"]) == ("003", "4") and item.line["n"] == 10
    } == {REPEATED}


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Random search (DARTS paper)", "quoted"),
        ("XNAS best architecture", "quoted"),
    ],
)
def test_a_number_that_no_search_here_can_measure_has_its_own_class(label: str, kind: str) -> None:
    items = compare([study([found("xnas")], trainings=trained("xnas", [97.0] * 3, recipe="darts"))], PUBLISHED)
    (item,) = [item for item in items if item.line["label"] == label]
    assert item.kind == kind and not len(item.values)


def test_both_numbers_of_the_cherry_picked_space_are_read() -> None:
    """SparseNAS, the last line of Table 1: trained as DARTS trains."""
    row, of_row = "sparse_nas:cherry_picked", {"recipe": "darts"}
    cells = [trained(row, [97.4], **of_row), trained(row, [83.0], **of_row, stage="cifar100", data="cifar100")]
    items = compare([study([found(row)], trainings=pd.concat(cells))], PUBLISHED)
    compared = {item.line["target"]: item for item in items if (item.row, item.line["metric"]) == (row, "test_error_pct")}
    values = {target: (item.line["mean"], item.values.tolist()) for target, item in compared.items()}
    assert values == {"cifar10": (2.50, pytest.approx([2.6])), "cifar100": (16.79, [17.0])}
    assert {item.verdict.reason for item in compared.values()} == {"printed without a spread"}, "the recipe is the paper's"


def test_each_set_of_four_searches_has_its_printed_number_and_the_command_makes_the_searches() -> None:
    """GAEA, Table 3: three sets of seeds, and in each the best of four searches."""
    recipe = {"recipe": "gaea"}
    sets = [trained("gaea_pc_darts", [97.5 + set_number] * 3, **recipe, set=set_number) for set_number in (1, 2)]
    from harness.scoreboard import way

    items = compare([study([found("gaea_pc_darts")], trainings=pd.concat(sets))], PUBLISHED, way)
    first, second, third = (of(items, "gaea_pc_darts", f"test_error_pct[seed set {number}]") for number in (1, 2, 3))
    assert [item.values.tolist() for item in (first, second, third)] == [[1.5] * 3, [0.5] * 3, []]
    assert of(items, "gaea_pc_darts", "test_error_pct", "003").values.tolist() == [1.5] * 3, "the tables print the first set"
    assert second.verdict.name == "differs" and (second.line["mean"], third.line["mean"]) == (2.50, 2.60)
    assert third.way is not None and "--methods gaea_pc_darts --seeds 12 --device cuda" in third.way.arguments
    assert second.way is not None and "--seeds 8 " in second.way.arguments
    assert first.way is not None and "--seeds" not in first.way.arguments


def test_the_network_that_a_search_delivers_has_its_printed_error() -> None:
    runs = [found("ista_nas:one_stage", world, single_run=accuracy) for world, accuracy in enumerate((97.5, 97.7))]
    items = compare([study(runs)], PUBLISHED)
    delivered = of(items, "ista_nas:one_stage", "test_error_pct[single run]")
    assert delivered.values.tolist() == pytest.approx([2.5, 2.3]) and delivered.line["mean"] == 2.36
    assert not len(of(items, "ista_nas:one_stage", "test_error_pct").values), "no cell was trained from scratch"


def test_the_cost_of_four_searches_is_not_that_of_one() -> None:
    gpu = found("rsps", wall_seconds=86400.0, device="cuda")
    item = of(compare([study([gpu])], PUBLISHED), "rsps", "search_cost", paper="000")
    assert item.line["cost_unit"] == "GPU-days of four searches" and item.values.tolist() == [1.0]
    assert "ours is of one search" in item.verdict.reason


def test_the_parameters_of_a_network_for_imagenet_are_not_those_of_the_search() -> None:
    comparisons = compare([study([found("darts:second_order", parameters=3.3e6)])], PUBLISHED)
    assert of(comparisons, "darts:second_order", "params_M", paper="002").values.tolist() == [3.3]
    imagenet = of(comparisons, "darts:second_order", "params_M", paper="002", target="imagenet")
    assert imagenet.line["mean"] == 4.7 and not len(imagenet.values)


def test_settings_are_printed_with_all_their_digits() -> None:
    text = to_markdown("Scoreboard", scoreboard.blocks([], PUBLISHED))
    (line,) = [line for line in text.splitlines() if line.startswith("- **setting, tested as a default:** T3 CoNAS")]
    assert "initial lr 0.025" in line and set(re.findall(r"weight decay ([\d.]*\d)", line)) == {"0.0003", "0.0005"}


def test_the_reason_of_a_number_is_its_own_then_what_is_missing_here_then_that_nobody_ran_it() -> None:
    here, away = (compare([], PUBLISHED, lambda *_, way=way: way) for way in (Way("", "--x"), NO_GPU))
    assert of(here, "rsps", "test_error_pct").kind == NOT_YET and of(away, "rsps", "test_error_pct").kind == "needs a GPU"
    for comparisons in (here, away):
        assert of(comparisons, "darts:bilevel", "test_error_pct", target="cifar100").kind == "unstated recipe"
        assert of(comparisons, "", "hparam:momentum").kind == "setting, tested as a default"
    names = [item for item in here if item.line["label"] == "SNAS"]
    assert {item.kind for item in names} == {"quoted", REPEATED}


def test_test_accuracies_have_the_verdict_of_the_protocols_page() -> None:
    values = {"cifar10": 93.7, "cifar100": 71.0, "imagenet16-120": 44.6}
    rng = np.random.default_rng(0)
    lines = [
        made_evidence.run(NB201, "random_search", world, target, mean + rng.normal(0, 0.3))
        for world in range(100)
        for target, mean in values.items()
    ]
    nb201 = study(lines, protocol="nb201-2020")
    comparisons = compare([nb201], PUBLISHED)
    for target in values:
        item = of(comparisons, "random_search", "test_accuracy_pct", target=target)
        assert item.verdict == nb201.verdicts(NB201, "random_search")[target] and item.kind == "reproduced"
        assert len(item.values) == 100


def test_a_changed_protocol_is_compared_and_not_judged() -> None:
    lines = [made_evidence.run(NB201, "random_search", world, "cifar10", 93.7) for world in range(5)]
    changed = study(lines, protocol="nb201-2020", modified="budget seconds=6000")
    item = of(compare([changed], PUBLISHED), "random_search", "test_accuracy_pct", target="cifar10")
    assert item.kind == "not comparable" and "seconds=6000" in item.verdict.reason and len(item.values) == 5


def test_trainings_of_the_chosen_cell_give_error_smallest_error_and_sizes() -> None:
    runs = [found("gaea_pc_darts", parameters=1.0, macs=1.0)]
    evidence = study(runs, trainings=trained("gaea_pc_darts", [97.5, 97.4, 97.6], recipe="gaea"))
    comparisons = compare([evidence], PUBLISHED)
    error = of(comparisons, "gaea_pc_darts", "test_error_pct", paper="003")
    assert error.values == pytest.approx([2.5, 2.6, 2.4]) and error.verdict.difference is not None
    assert of(comparisons, "gaea_pc_darts", "test_error_pct_best").values == pytest.approx([2.4])
    assert of(comparisons, "gaea_pc_darts", "params_M").values == pytest.approx([3.63]), "the cell that was trained"
    assert of(comparisons, "gaea_pc_darts", "test_error_pct[seed set 1]").values == pytest.approx([2.5, 2.6, 2.4])
    assert not len(of(comparisons, "gaea_pc_darts", "test_error_pct[seed set 2]").values)


def test_another_recipe_than_the_papers_is_not_comparable() -> None:
    evidence = study([found("rsps")], trainings=trained("rsps", [97.0, 97.1, 97.2], recipe="short"))
    item = of(compare([evidence], PUBLISHED), "rsps", "test_error_pct")
    assert item.kind == "not comparable" and "recipe short" in item.verdict.reason


def test_top_five_errors_are_of_the_trainings_on_imagenet() -> None:
    lines = trained("pc_darts", [75.0], data="imagenet", recipe="imagenet_pc_darts", top5=92.5)
    comparisons = compare([study([found("pc_darts")], trainings=lines)], PUBLISHED)
    read = [item for item in comparisons if item.line["metric"] == "top5_error_pct" and len(item.values)]
    assert {(item.row, item.line["benchmark"], *item.values) for item in read} == {("pc_darts", DARTS, 7.5)}


def test_perplexities_are_of_the_trainings_of_the_chosen_recurrent_cell() -> None:
    ptb, row = "darts_rnn/ptb", "darts:second_order"
    text = {"benchmark": ptb, "data": "ptb", "recipe": "rnn_darts", "metric": "perplexity", "chosen_on": "valid"}
    lines = trained(row, [27.0] * 3, valid_perplexity=59.0, **text).assign(perplexity=[56.0, 56.5, 57.0])
    runs = [made_evidence.run(ptb, row, 0, "ptb", kind="one-shot")]
    comparisons = compare([study(runs, trainings=lines, protocol="darts-rnn")], PUBLISHED)
    test, valid = (of(comparisons, row, f"{part}_perplexity", target="ptb") for part in ("test", "valid"))
    assert test.values == pytest.approx([56.0, 56.5, 57.0]) and test.line["mean"] == 55.70
    assert valid.values == pytest.approx([59.0] * 3) and valid.line["mean"] == 58.10
    assert {item.kind for item in (test, valid)} == {"not comparable"} and test.verdict.reason == "printed without a spread"
    short = compare([study(runs, trainings=lines.assign(recipe="rnn_small"), protocol="darts-rnn")], PUBLISHED)
    assert "trained by the recipe rnn_small" in of(short, row, "test_perplexity").verdict.reason


def test_the_alphas_of_sparse_nas_are_the_rows_that_set_makes() -> None:
    row = "sparse_nas:adam_hapg[mixture=0.3]"
    evidence = study([found(row)], trainings=trained(row, [96.7, 96.8, 96.6], recipe="sparse_nas"))
    item = of(compare([evidence], PUBLISHED), row, "test_error_pct")
    assert item.values == pytest.approx([3.3, 3.2, 3.4]) and item.line["mean"] == 3.30


def test_supernets_are_read_before_and_after_discretisation() -> None:
    log: Columns = {"epoch": [1, 2], "supernet_accuracy": [50.0, 74.0], "discretised_accuracy": [np.nan, 30.0]}
    searches = {(DARTS, "gaea_pc_darts"): [Trace(0, log=log)]}
    evidence = Study(made_evidence.evidence([found("gaea_pc_darts")], searches, protocol="darts-as-published"), PUBLISHED)
    comparisons = compare([evidence], PUBLISHED)
    ends = ("before discretisation", "after discretisation")
    read = [of(comparisons, "gaea_pc_darts", f"supernet_valid_accuracy_pct[{end}]").values.tolist() for end in ends]
    assert read == [[74.0], [30.0]]


def test_the_search_of_one_stage_ends_in_the_epoch_in_which_no_node_is_unsettled() -> None:
    searches = {(DARTS, "ista_nas:one_stage"): [Trace(0, log={"epoch": [1, 2, 3, 4], "alive": [4.0, 1.0, 0.0, 0.0]})]}
    runs = [found("ista_nas:one_stage")]
    evidence = Study(made_evidence.evidence(runs, searches, protocol="darts-as-published"), PUBLISHED)
    item = of(compare([evidence], PUBLISHED), "ista_nas:one_stage", "search_epochs_until_termination")
    assert item.values.tolist() == [3.0]


def test_search_costs_are_those_of_gpus_and_never_judged() -> None:
    gpu = found("rsps", wall_seconds=86400.0, device="cuda")
    cpu = found("rsps", world=1, wall_seconds=7.0)
    item = of(compare([study([gpu, cpu])], PUBLISHED), "rsps", "search_cost", paper="000")
    assert item.values.tolist() == [1.0] and item.kind == "not comparable" and "another machine" in item.verdict.reason


def space(**cells: Sequence[str]) -> Space:
    """Return a space whose proposals have one cell with these operations on its first edges."""
    operation = {name: Operation(name, name, "convolution") for names in cells.values() for name in names}
    drawn = {
        text: (Cell(("in", "out"), tuple(Edge(0, 1, operation[name]) for name in names), "normal"),)
        for text, names in cells.items()
    }
    return Space("made", operations=operation, drawn=drawn)


def test_hamming_distances_are_from_the_row_without_the_changed_setting_for_random_cells_too() -> None:
    base, changed, random = "conas:table_6", "conas:table_6[penalty=5]", "random_cell:table_6"
    rows = [found(row, arch=arch) for row, arch in ((base, "a"), (changed, "b"), (random, "c"))]
    evidence = study(rows, protocol="conas-2021-table6", spaces={DARTS: space(a="pq", b="pr", c="rst")})
    comparisons = compare([evidence], PUBLISHED)
    read = [of(comparisons, row, "hamming_distance").values.tolist() for row in (changed, random)]
    assert read == [[2.0], [5.0]]


def test_of_several_stores_the_one_with_most_runs_is_compared() -> None:
    few, many = (
        study([made_evidence.run(NB201, "random_search", world, "cifar10", 93.0) for world in range(n)], protocol="nb201-2020")
        for n in (3, 9)
    )
    assert len(of(compare([few, many, few], PUBLISHED), "random_search", "test_accuracy_pct").values) == 9


def test_runs_under_the_papers_rules_are_compared_before_more_runs_under_changed_ones() -> None:
    few, many = (
        study(
            [made_evidence.run(NB201, "random_search", world, "cifar10", 93.7 + world / 9) for world in range(n)],
            protocol="nb201-2020",
            modified=modified,
        )
        for n, modified in ((3, ""), (9, "budget seconds=6000"))
    )
    for studies in ([few, many], [many, few]):
        item = of(compare(studies, PUBLISHED), "random_search", "test_accuracy_pct", target="cifar10")
        assert len(item.values) == 3 and item.kind != "not comparable"
    assert len(of(compare([many], PUBLISHED), "random_search", "test_accuracy_pct", target="cifar10").values) == 9


def test_the_page_counts_classes_by_paper_and_names_the_command() -> None:
    blocks = scoreboard.blocks(
        [], PUBLISHED, lambda _, __, rows, *___: Way("needs a GPU", f"--methods {rows[0]} --device cuda")
    )
    counts = next(block for block in blocks if isinstance(block, Table) and block.columns[0].name == "numbers")
    totals = {cells[0]: [int(cell) for cell in cells[1:]] for cells in counts.rows}
    for *papers, total in totals.values():
        assert sum(papers) == total
    everything = totals.pop("all")
    assert everything == [sum(column) for column in zip(*totals.values(), strict=True)]
    assert REPEATED not in totals
    text = to_markdown("Scoreboard", blocks)
    assert f"{everything[-1]} numbers that they print" in text, "every number counts once, at the top and by class"
    assert "--methods rsps --device cuda" in text and "nan" not in text


def sections(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Return the blocks by heading."""
    by_heading: dict[str, list[Block]] = {"": []}
    for block in blocks:
        if isinstance(block, Heading):
            by_heading[block.text] = []
        else:
            by_heading[list(by_heading)[-1]].append(block)
    return by_heading


def test_a_paper_has_a_section_for_what_is_measured_what_is_claimed_and_what_is_not_measured() -> None:
    lines = [made_evidence.run(NB201, "random_search", world, "cifar10", 93.7 + world / 100) for world in range(9)]
    page = sections(
        scoreboard.blocks([study(lines, protocol="nb201-2020")], PUBLISHED, lambda *_: Way("needs a GPU", "--device cuda"))
    )
    assert [*page][1:4] == ["The papers' claims in short", "The papers' main claims", "Numbers by paper"]
    (measured,) = page["GAEA: numbers measured here"]
    assert isinstance(measured, Table) and [cells[:4] for cells in measured.rows] == [["RS", "T2", "random_search", "CIFAR-10"]]
    assert "CoNAS: numbers measured here" not in page, "no section without a value"
    table, reasons = page["CoNAS: numbers not measured here"]
    assert isinstance(table, Table) and isinstance(reasons, Bullets)
    (cells,) = [cells for cells in table.rows if cells[:3] == ["CoNAS (1)", "T1", "conas"]]
    for text in ("test error % 2.67 ± 0.06", "smallest test error % 2.59", "multiply-adds M 450", "GPU-days 0.35"):
        assert text in cells[3]
    assert cells[4:] == ["needs a GPU", "--device cuda"]
    (notes,) = page["SparseNAS: notes on the printed numbers"]
    assert isinstance(notes, Bullets)
    costs = dict(notes.items)["cost: the column says GPU days and does not say of how many searches"]
    assert "T3 SparseNAS + AdamHAPG" in costs and "T1 DARTS" not in costs


def test_a_number_counts_once_for_the_row_with_the_most_runs() -> None:
    lines = PUBLISHED[(PUBLISHED["paper"] == "000") & (PUBLISHED["row"] == "conas;conas:paper_scale")]
    lines = lines[lines["metric"] == "test_accuracy_pct"].iloc[:1].assign(search_cost=np.nan)
    place = lines.iloc[0]
    runs = [made_evidence.run(place["benchmark"], "conas:paper_scale", world, place["target"], 91.0) for world in range(3)]
    blocks = scoreboard.blocks([study(runs, protocol=place["protocol"])], lines, lambda *_: NO_GPU)
    counts = next(block for block in blocks if isinstance(block, Table) and block.columns[0].name == "numbers")
    (kind, *_, count), (_, *_, everything) = counts.rows
    assert kind in VERDICTS[1:] and (count, everything) == ("1", "1"), "not also as a number that is not measured"


def test_a_line_for_each_paper_counts_its_claims_by_result() -> None:
    (table,) = (
        block for block in scoreboard.blocks([], PUBLISHED) if isinstance(block, Table) and block.columns[0].name == "paper"
    )
    names = [column.name for column in table.columns]
    assert names == ["paper", "supported", "contradicted", "undecided", "not tested here", "claims"]
    assert [cells[0] for cells in table.rows] == [*published.PAPERS.values()]
    assert sum(int(cells[-1]) for cells in table.rows) == len(claims.load())


def test_a_measured_number_leads_to_its_page_and_to_its_runs() -> None:
    lines = [made_evidence.run(NB201, "random_search", world, "cifar10", 93.7 + world / 100) for world in range(9)]
    nb201 = study(lines, protocol="nb201-2020")
    pages = {"nb201-2020": "../nb201-2020"}
    (measured,) = sections(scoreboard.blocks([nb201], PUBLISHED, pages=pages))["GAEA: numbers measured here"]
    assert isinstance(measured, Table)
    linked = {str(cell): cell.address for cell in measured.rows[0] if isinstance(cell, Linked)}
    assert [*linked.values()] == [
        "../nb201-2020/index.html",
        "../nb201-2020/runs.html#method=random_search&benchmark=nb201%2Fcifar10",
    ]
    assert linked["9"].endswith("cifar10")
    text = to_markdown("", [measured])
    assert "](../nb201-2020/table.md)" in text and "runs.html" not in text
    (unlinked,) = sections(scoreboard.blocks([nb201], PUBLISHED))["GAEA: numbers measured here"]
    assert "](" not in to_markdown("", [unlinked])


def test_the_stored_runs_that_are_not_on_the_page_are_named() -> None:
    old = study([], left_out={"made by other code": ["rsps on darts/cifar10"]})
    assert "Not on this page: made by other code (1 rows)" in to_markdown("x", scoreboard.blocks([old], PUBLISHED))


@pytest.mark.slow
def test_the_way_to_a_number_is_a_command_that_plans_its_row() -> None:
    """Plan the command of every line that can be measured. A distance needs the base row, too."""
    from harness import protocols
    from harness.plan import make, rows_of
    from harness.scoreboard import way

    planned: dict[str, set[str]] = {}
    for item in compare([], PUBLISHED, way):
        if item.way is None:
            continue
        words = item.way.arguments.split()
        arguments = dict(zip(words[::2], words[1::2], strict=True))
        settings: dict[str, dict[str, str]] = {}
        if "--set" in arguments:
            name, _, change = arguments["--set"].partition(".")
            settings = {name: dict([change.split("=")])}
        if item.way.arguments not in planned:
            methods = arguments["--methods"].split(",") if "--methods" in arguments else []
            plan = make(
                protocols.protocol(arguments["--protocol"]),
                methods=methods,
                everything="--methods" not in arguments,
                benchmarks=[arguments["--benchmarks"]],
                settings=settings,
                report_only=True,
            )
            without_data = [part for part in plan.protocol.parts if (arguments["--benchmarks"], part.kind) in plan.closed]
            planned[item.way.arguments] = {row.spec.row for row in plan.rows} | {row for _, _, row in plan.skipped}
            planned[item.way.arguments] |= {row for part in without_data for row in rows_of(part, methods)}
        assert item.row in planned[item.way.arguments], item.way.arguments
    assert len(planned) >= 50


def test_the_command_of_rows_names_settings_and_device() -> None:
    from harness.scoreboard import way

    how = way("darts-as-published", DARTS, ["sparse_nas:adam[mixture=0.7]"], "")
    command = (
        "--protocol darts-as-published --benchmarks darts/cifar10 --methods sparse_nas:adam --set sparse_nas:adam.mixture=0.7"
    )
    assert how.arguments == f"{command} --device cuda" and "a GPU" in how.obstacle
    assert way("digits", "nb201/digits", ["conas", "rsps"], "") == Way(
        "", "--protocol digits --benchmarks nb201/digits --methods conas,rsps"
    )
    assert "cuda" not in way("nb201-2020", NB201, ["random_search"], "").arguments


def test_missing_tables_and_images_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from harness import scoreboard as collected

    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    collected._lacking.cache_clear()
    needs = "needs a GPU, the data of darts/cifar10, the images of CIFAR-10, the images of CIFAR-100"
    assert collected.way("darts-as-published", DARTS, ["sparse_nas:hapg"], "cifar100").obstacle == needs
    assert collected.way("nb201-2020", NB201, ["random_search"], "").obstacle == "needs the data of nb201/cifar10"
    collected._lacking.cache_clear()
