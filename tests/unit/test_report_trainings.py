"""The tables of trainings from scratch: spreads between searches and within a cell, and the label of a choice."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.darts.space import DartsSpace
from harness.analysis import cell_errors, published
from harness.analysis.agreement import Judged
from harness.analysis.evidence import Evidence, Part, Session
from harness.analysis.study import Study
from harness.analysis.trainings import by_search, nested
from harness.analysis.verdict import CONSISTENT, DIFFERS, NOT_COMPARABLE, NOT_MEASURED, REPRODUCED
from harness.frames import depict
from reports import reading, sources, tables
from reports.layout import Table
from reports.report import write
from reports.trainings import chosen_cell, every_cell, searches
from tests import made_evidence


def test_the_two_spreads_of_a_nested_design_are_recovered() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(3.0, 0.2, 400)
    spreads = nested([rng.normal(cell, 0.1, 3).tolist() for cell in cells])
    assert spreads.mean == pytest.approx(3.0, abs=0.03)
    assert spreads.between == pytest.approx(0.2, abs=0.02) and spreads.within == pytest.approx(0.1, abs=0.01)
    assert (spreads.cells, spreads.trainings) == (400, 1200)


def test_equal_cells_have_no_spread_between_them_and_too_few_give_none() -> None:
    rng = np.random.default_rng(1)
    assert nested([rng.normal(3, 0.1, 5).tolist() for _ in range(2000)]).between < 0.02
    assert nested([[1.0, 3.0], [2.0, 2.0]]).between == 0
    single = nested([[1.0], [2.0]])
    assert math.isnan(single.between) and math.isnan(single.within) and single.total == pytest.approx(0.5**0.5)
    assert math.isnan(nested([[1.0, 2.0]]).between) and math.isnan(nested([]).mean)


def trainings(stage: str = "each", chosen_on: str = "", **columns: object) -> pd.DataFrame:
    pairs = [(world, seed) for world in (0, 1) for seed in (0, 1)] if not chosen_on else [(1, seed) for seed in (0, 1, 2)]
    more = {"stage": stage, "chosen_by": "choice" if chosen_on else "", "chosen_on": chosen_on, **columns}
    return pd.DataFrame([made_evidence.training(world, seed, 97.0 + 0.4 * world + 0.1 * seed, **more) for world, seed in pairs])


def test_every_cell_is_shown_with_both_spreads_and_the_best_epoch_under_its_name() -> None:
    table = every_cell(trainings(), {"pc_darts": "PC-DARTS"})
    assert [column.name for column in table.columns[:6]] == [
        "method",
        "cells",
        "trainings",
        "error %",
        "between cells",
        "within a cell",
    ]
    within = (2 * 2 * 0.05**2 / 2) ** 0.5
    between = (0.08 - within**2 / 2) ** 0.5
    assert table.rows == [["PC-DARTS", "2", "4", "2.75", f"{between:.2f}", f"{within:.2f}", "2.00", "3.63 ± 0.00", "557 ± 0"]]
    assert "is no result" in str(reading.explained([table]))


def test_a_failed_training_leaves_a_gap_and_is_counted() -> None:
    lines = trainings()
    lines.loc[0, "accuracy"] = math.nan
    assert every_cell(lines, {}).rows[0][1:4] == ["2", "3 / 4", "2.73"]
    assert by_search(lines) == {0: pytest.approx([2.9]), 1: pytest.approx([2.6, 2.5])}


def test_the_error_of_delivered_networks_is_a_column_if_there_are_any() -> None:
    """One-stage ISTA-NAS delivers its network: 2.36 is printed of one run."""
    sizes = {"parameters": 3.4e6, "macs": 5.3e8, "valid": math.nan, "rank": math.nan}

    def table(**single: float) -> Table:
        runs = [
            made_evidence.run("darts/cifar10", row, world, "cifar10", **sizes, **(single if row.startswith("ista") else {}))
            for row in ("ista_nas:one_stage", "pc_darts")
            for world in (0, 1)
        ]
        part = Part("darts/cifar10", judge={"cifar10": ""}, planned={"pc_darts": 2})
        return searches(Study(made_evidence.evidence(runs, None, part), published.load()), "darts/cifar10")

    delivered = table(single_run=97.5)
    assert [column.name for column in delivered.columns[-2:]] == ["single run, error %", "published single run, error %"]
    by_row = {row[0]: row[-2:] for row in delivered.rows}
    assert by_row["ista_nas:one_stage"][0] == "2.50 ± 0.00" and by_row["ista_nas:one_stage"][1].startswith("2.36")
    assert by_row["pc_darts"] == ["–", "–"]
    assert "single run" not in {column.name.partition(",")[0] for column in table().columns}


def test_a_choice_on_test_says_so() -> None:
    honest, papers = (chosen_cell(trainings("chosen", on), {}, {}, {}, {}) for on in ("valid", "test"))
    assert honest.rows[0][:5] == ["pc_darts", "1", "3", "2.50 ± 0.08", "2.00 ± 0.00"]
    assert honest.columns[4].name == "best epoch, error %" and "is no result" in str(reading.explained([honest]))
    assert "best validation accuracy in the trainings 'choice'" in honest.caption and "optimistic" not in honest.caption
    assert "best TEST accuracy" in papers.caption and "optimistic" in papers.caption


TEXT = {"data": "ptb", "metric": "perplexity", "recipe": "rnn_darts", "benchmark": "darts_rnn/ptb"}


def test_language_models_are_compared_by_perplexity_lower_is_better() -> None:
    """The row with the higher accuracy of the next token is worse by perplexity."""
    lines = pd.concat(
        [
            trainings(row=row, perplexity=perplexity, valid_perplexity=perplexity + 2, **TEXT).assign(accuracy=accuracy)
            for row, perplexity, accuracy in (("rsps", 60.0, 25.0), ("random_cell", 64.0, 26.0))
        ]
    )
    lines.loc[lines["seed"] == 1, "perplexity"] += 1
    table = every_cell(lines, {"rsps": "RSPS"})
    names = [column.name for column in table.columns]
    assert names[3] == "perplexity" and not [name for name in names if "error" in name]
    cells = {row[0]: dict(zip(names, row, strict=True)) for row in table.rows}
    assert cells["RSPS"]["perplexity"] == "60.50" and cells["random_cell"]["perplexity"] == "64.50"
    assert cells["RSPS"]["difference [95 %]"].startswith("−4.00")
    assert "perplexity on the test text of Penn Treebank in the epoch of least validation perplexity" in table.caption
    assert "cannot show a difference on the perplexity against random_cell" in table.caption
    of_rsps = lines[lines["row"] == "rsps"].assign(chosen_by="choice", chosen_on="valid")
    chosen = chosen_cell(of_rsps, {}, {}, {("rsps", 1): "55"}, {})
    shown = dict(zip([column.name for column in chosen.columns], chosen.rows[0], strict=True))
    assert shown["perplexity"].startswith("60.50") and shown["validation perplexity"].startswith("62.00")
    assert shown["published perplexity"] == "55" and "least validation perplexity in the trainings 'choice'" in chosen.caption


def of_row(row: str, *means: float, recipe: str = "darts", **columns: object) -> pd.DataFrame:
    """Return ten trainings of a row's chosen cell, with these mean errors and a spread of 0.06."""
    values = np.random.default_rng(0).normal(size=10)
    errors = means[0] + 0.06 * (values - values.mean()) / values.std()
    more = {"stage": "chosen", "chosen_by": "each", "chosen_on": "test", "row": row, "recipe": recipe}
    lines = [made_evidence.training(1, seed, 100 - error, **more) for seed, error in enumerate(errors)]
    return pd.DataFrame([line | columns for line in lines])


def page(*frames: pd.DataFrame, protocol: str = "darts-as-published", **more: Any) -> Evidence:
    """Return the evidence of two searches of each row, and of trainings."""
    trained = pd.concat(frames)
    sizes: dict[str, Any] = {"parameters": 3.6e6, "macs": 5.5e8, "valid": math.nan, "rank": math.nan, "kind": "one-shot"}
    sizes |= {"arch": CONAS, "wall_seconds": 8640.0, "device": "cuda"}
    rows = [str(row) for row in dict.fromkeys(trained["row"])]
    runs = [made_evidence.run(BENCHMARK, row, world, "cifar10", **sizes) for row in rows for world in (0, 1)]
    part = Part(BENCHMARK, "one-shot", judge={"cifar10": ""}, planned=dict.fromkeys(rows, 2), **more)
    spaces = {BENCHMARK: depict(DARTS, [CONAS])}
    facts: dict[str, Any] = {"protocol": protocol, "title": "DARTS", "sessions": (Session("c", accelerator="NVIDIA H100"),)}
    return made_evidence.evidence(runs, None, part, trainings=trained, spaces=spaces, **facts)


def verdict_of(evidence: Evidence, row: str, data: str = "cifar10") -> Judged:
    study = Study(evidence, published.load())
    ((_, _, group),) = [stage for stage in cell_errors.chosen(study, BENCHMARK) if stage[1] == data]
    return cell_errors.judged(study, BENCHMARK, data, group)[row, 1]


@pytest.mark.parametrize(
    ("row", "recipe", "mean", "expected"),
    [
        ("darts:second_order", "darts", 2.76, REPRODUCED),
        ("darts:second_order", "darts", 3.00, DIFFERS),
        ("gaea_pc_darts", "gaea", 2.50, REPRODUCED),
        ("conas", "conas", 2.72, CONSISTENT),  # five printed runs
        ("sparse_nas:hapg", "sparse_nas", 2.73, REPRODUCED),
    ],
)
def test_test_errors_of_full_trainings_are_judged(row: str, recipe: str, mean: float, expected: str) -> None:
    result = verdict_of(page(of_row(row, mean, recipe=recipe)), row)
    assert (result.verdict.name, result.verdict.reason, result.margin) == (expected, "", 0.10)
    assert result.verdict.difference is not None
    assert result.verdict.difference.delta == pytest.approx(mean - result.line["mean"])
    assert (cell_errors.UNCERTAIN_EPOCH in result.verdict.notes) == (row == "conas"), "D-59"


JPEG = "CIFAR-10 (JPEG-75), 25,000 + 25,000 images, 0123"


@pytest.mark.parametrize(
    ("row", "trained", "searched", "words"),
    [
        ("darts:second_order", {}, JPEG, ["under JPEG-75 search"]),
        ("darts:second_order", {"images": JPEG}, "", ["under JPEG-75 search"]),
        ("gaea_pc_darts", {"recipe": "darts"}, "", ["trained by the recipe darts, the paper by gaea"]),
        (
            "gaea_pc_darts",
            {"recipe": "darts", "chosen_on": "valid"},
            JPEG,
            ["under JPEG-75", "recipe darts", "chosen on validation images, the paper's on the test set"],
        ),
        ("ista_nas:two_stage", {"recipe": "ista_nas"}, "", ["the paper by darts"]),
        ("ista_nas:two_stage", {"recipe": "darts"}, "", ["number of runs is not printed"]),
        ("sparse_nas:cherry_picked", {}, "", ["printed without a spread"]),
        ("pc_darts", {"recipe": "pc_darts"}, "", ["the printed number is a best epoch on the test set, ours is the last"]),
        ("pc_darts", {"recipe": "darts"}, "", ["the paper by pc_darts", "is a best epoch"]),
    ],
)
def test_what_is_not_comparable_says_why(row: str, trained: dict[str, Any], searched: str, words: list[str]) -> None:
    images: dict[str, Any] = {"images": {row: searched}} if searched else {}
    result = verdict_of(page(of_row(row, 2.5, **trained), **images), row)
    assert result.verdict.name == NOT_COMPARABLE and result.verdict.difference is None
    assert all(word in result.verdict.reason for word in words) and result.verdict.reason.count(";") == len(words) - 1


def test_a_row_without_a_finished_training_is_not_measured_and_not_incomparable() -> None:
    unfinished = of_row("gaea_pc_darts", 2.5, recipe="darts", chosen_on="valid", accuracy=math.nan)
    verdict = verdict_of(page(unfinished), "gaea_pc_darts").verdict
    assert (verdict.name, verdict.reason) == (NOT_MEASURED, "no run finished")


def test_a_choice_on_validation_images_is_comparable_with_a_paper_that_does_not_say_how_it_chose() -> None:
    evidence = page(of_row("darts:bilevel", 3.0, chosen_on="valid"), protocol="darts")
    verdict = verdict_of(evidence, "darts:bilevel").verdict
    assert verdict.name == REPRODUCED and cell_errors.UNSTATED_CHOICE in verdict.notes
    known = verdict_of(page(of_row("gaea_pc_darts", 2.5, recipe="gaea")), "gaea_pc_darts").verdict
    assert cell_errors.UNSTATED_CHOICE not in known.notes


def test_other_data_have_their_own_margin_and_metric_and_one_training_has_no_interval() -> None:
    mobile = of_row("gaea_pc_darts", 24.3, recipe="imagenet_pc_darts", data="imagenet").iloc[:1]
    result = verdict_of(page(mobile), "gaea_pc_darts", "imagenet")
    assert (result.margin, result.line["metric"], result.line["mean"]) == (0.30, "top1_error_pct", 24.3)
    assert result.verdict.name == NOT_COMPARABLE and "without a spread" in result.verdict.reason


def test_top_five_errors_are_columns_on_imagenet_and_the_searched_images_are_named() -> None:
    moved = of_row("gaea_pc_darts", 24.3, recipe="imagenet_pc_darts", data="imagenet", stage="imagenet", top5=92.6)
    direct = moved.assign(benchmark="darts/imagenet", top5=92.9, stage="direct")
    cells = pd.concat([moved, direct])
    assert {column.name for column in every_cell(trainings(), {}).columns} & {"top-5 error %"} == set()
    for group, error, sentence in ((moved, "7.40", True), (direct, "7.10", False)):
        study = Study(page(cells), published.load())
        printed = sources.of_top5(study, group["benchmark"].iloc[0], "imagenet")
        table = chosen_cell(group, {}, {}, {}, {}, printed)
        line = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
        assert (line["top-5 error %"], line["published top-5 error %"]) == (f"{error} ± 0.00", "7.30")
        assert ("The cells were searched on CIFAR-10." in table.caption) == sentence
        columns = [column.name for column in every_cell(group, {}).columns]
        assert every_cell(group, {}).rows[0][columns.index("top-5 error %")] == error


def test_the_chosen_cell_has_its_difference_even_if_it_is_not_judged() -> None:
    rows = ("darts:second_order", "sparse_nas:cherry_picked")
    jpeg = page(of_row(rows[0], 2.80), of_row(rows[1], 2.55), images=dict.fromkeys(rows, JPEG))
    study = Study(jpeg, published.load())
    ((_, data, group),) = cell_errors.chosen(study, BENCHMARK)
    table = chosen_cell(group, {}, {}, {}, cell_errors.judged(study, BENCHMARK, data, group))
    assert [column.name for column in table.columns[-2:]] == ["Δ [95 %]", "verdict"]
    assert table.rows[0][-1] == "not comparable" and table.rows[0][-2].startswith("+0.04 [−0.0")
    assert table.rows[1][-2:] == ["+0.05", "not comparable"]
    twice = group.groupby("row").head(2)
    table = chosen_cell(twice, {}, {}, {}, cell_errors.judged(study, BENCHMARK, data, twice))
    assert "[" not in table.rows[0][-2] and table.rows[0][-2] != "–", "two trainings have no interval"


def test_the_cell_of_each_set_of_searches_has_a_line_and_its_own_printed_number(tmp_path: Path) -> None:
    sets = [of_row("gaea_pc_darts", error, recipe="gaea", set=number) for number, error in ((1, 2.5), (2, 2.9))]
    write(tmp_path, page(*sets))
    text = (tmp_path / "table.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| gaea_pc_darts")]
    first, second = (line for line in lines if line[2] in ("1", "2") and "GAEA T" in str(line))
    assert "T1, n = 10" in str(first) and "T3" not in str(first) and "T3, n = 10" in str(second)
    assert (first[-2], second[-2]) == ("reproduced", "differs")
    assert "Of each set of a row's searches the cell" in text and "gaea_pc_darts, set 2" in text


def test_searches_are_paired_with_random_cells_by_world_and_not_by_training_seed() -> None:
    random = [made_evidence.training(world, seed, 97.0 - world, row="random_cell") for world in range(4) for seed in (0, 1)]
    better = [made_evidence.training(world, 5, 97.5 - world, row="rsps") for world in (3, 2, 1, 0)]
    alone = [made_evidence.training(7, 0, 99.0, row="xnas")]
    table = every_cell(pd.DataFrame([*random, *better, *alone]), {})
    assert [column.name for column in table.columns[-2:]] == ["difference [95 %]", "p (Holm)"]
    assert {row[0]: row[-2:] for row in table.rows} == {
        "random_cell": ["–", "–"],
        "rsps": ["−0.50 [−0.50, −0.50]", "0.12"],
        "xnas": ["–", "–"],
    }
    assert "4 seeds cannot show a difference on the error against random_cell at the 5 % level" in table.caption
    assert "no pair" not in table.caption and "difference [95 %]" not in {c.name for c in every_cell(trainings(), {}).columns}


def test_the_papers_numbers_are_on_the_page(tmp_path: Path) -> None:
    evidence = page(
        trainings(),
        of_row("pc_darts", 2.57, recipe="pc_darts"),
        of_row("pc_darts", 25.0, recipe="imagenet_pc_darts", stage="mobile", data="imagenet"),
    )
    texts = sources.of_cells(Study(evidence, published.load()), BENCHMARK, "cifar10")
    assert "2.57 ± 0.07 (3.60 M; 0.1 GPU-days; SparseNAS T1" in texts["pc_darts"]
    write(tmp_path, evidence)
    text = (tmp_path / "table.md").read_text()
    for words in (
        "Cells found on darts/cifar10",
        "0.100 GPU-days, NVIDIA H100",
        "trained from scratch: each",
        "2.57 ± 0.07",
        "mobile",
        "## Agreement with the papers: chosen",
        "One cell on each side: the intervals hold the noise of trainings, not that of searches.",
        "The papers’ error of the row’s cell;",
        "n = 3 assumed",
        "the best epoch on the test set, says its author",
        "published n assumed: its author says three runs",
    ):
        assert words in text
    assert len(pd.read_csv(tmp_path / "trainings.csv")) == len(evidence.trainings)
    assert (tmp_path / "genotypes.png").stat().st_size > 1000 and "genotypes.png" in text
    assert "Cells that the first finished search of each row proposed. DARTS space: normal and reduction cell." in text


def test_verdicts_on_trained_cells_are_counted_by_row_stage_and_data_set() -> None:
    judged, unfinished = of_row("gaea_pc_darts", 2.50, recipe="gaea"), of_row("conas", 2.7, recipe="conas", accuracy=math.nan)
    study = Study(page(judged, of_row("pc_darts", 2.57, recipe="pc_darts"), unfinished), published.load())
    assert tables.tally_of_trained(study) == (
        "Verdicts on trained cells, by row, stage and data set: 1 not comparable, 1 reproduced."
    ), "a cell without a finished training has no verdict"


BENCHMARK = "darts/cifar10"
DARTS = DartsSpace("mixed")
CONAS = (
    "Genotype(normal=[[('max_pool_3x3', 0), ('sep_conv_3x3', 0)], [], [('skip_connect', 2)], []], normal_concat=[2, 4],"
    " reduce=[('skip_connect', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('sep_conv_3x3', 2), ('skip_connect', 0),"
    " ('sep_conv_3x3', 2), ('skip_connect', 0), ('dil_conv_3x3', 2)], reduce_concat=range(2, 6))"
)


def test_a_genotype_is_read_for_its_drawing() -> None:
    (normal, reduce), *_ = depict(DARTS, [CONAS, "|none~0|"]).drawn.values()
    edges = [(edge.source, edge.target, edge.operation.name if edge.operation else "") for edge in normal.edges]
    assert edges == [(0, 2, "max_pool_3x3"), (0, 2, "sep_conv_3x3"), (2, 4, "skip_connect"), (2, 6, ""), (4, 6, "")]
    last = reduce.edges[-5]
    assert len(reduce.edges) == 12 and last[:2] == (2, 5) and last.operation and last.operation.label == "dil 3"
    assert (normal.name, reduce.name, normal.inputs) == ("normal", "reduce", 2)
    assert depict(DARTS, ["|none~0|"]).drawn == {}
