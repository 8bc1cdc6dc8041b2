"""The tables of trainings from scratch: spreads between searches and within a cell, and the label of a choice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.darts.space import DartsSpace
from harness.frames import depict
from reports import published
from reports.evidence import Part, Session
from reports.layout import Table
from reports.report import write
from reports.study import Study
from reports.trainings import by_search, chosen_cell, every_cell, nested, printed, searches
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
    assert "is no result" in table.caption


def test_a_failed_training_leaves_a_gap_and_is_counted() -> None:
    lines = trainings()
    lines.loc[0, "accuracy"] = math.nan
    assert every_cell(lines, {}).rows[0][1:4] == ["2", "3 / 4", "2.73"]
    assert by_search(lines) == [pytest.approx([2.9]), pytest.approx([2.6, 2.5])]


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
    assert [column.name for column in delivered.columns[-2:]] == ["single run, error %", "published error %"]
    by_row = {row[0]: row[-2:] for row in delivered.rows}
    assert by_row["ista_nas:one_stage"][0] == "2.50 ± 0.00" and by_row["ista_nas:one_stage"][1].startswith("2.36")
    assert by_row["pc_darts"] == ["–", "–"]
    assert "single run" not in {column.name.partition(",")[0] for column in table().columns}


def test_a_choice_on_test_says_so() -> None:
    honest, papers = (chosen_cell(trainings("chosen", on), {}, {}, {}) for on in ("valid", "test"))
    assert honest.rows[0][:4] == ["pc_darts", "1", "3", "2.50 ± 0.08"]
    assert "best validation accuracy in the trainings 'choice'" in honest.caption and "optimistic" not in honest.caption
    assert "best TEST accuracy" in papers.caption and "optimistic" in papers.caption


def test_the_papers_numbers_are_on_the_page(tmp_path: Path) -> None:
    sizes = {"parameters": 3.6e6, "macs": 5.5e8, "valid": math.nan, "rank": math.nan}
    runs = [
        made_evidence.run(
            "darts/cifar10", "pc_darts", world, "cifar10", arch=CONAS, wall_seconds=8640.0, device="cuda", **sizes
        )
        for world in (0, 1)
    ]
    evidence = made_evidence.evidence(
        runs,
        None,
        Part("darts/cifar10", judge={"cifar10": ""}, planned={"pc_darts": 2}),
        protocol="darts",
        title="DARTS",
        sessions=(Session("c", accelerator="NVIDIA H100"),),
        trainings=pd.concat(
            [trainings(), trainings("chosen", "valid"), trainings("mobile", "valid", data="imagenet", run_id="m")]
        ),
        spaces={"darts/cifar10": depict(DARTS, [CONAS])},
    )
    texts = printed(Study(evidence, published.load()), "darts/cifar10", "cifar10")
    assert "2.57 ± 0.07 (3.60 M; 0.1 GPU-days; SparseNAS T1" in texts["pc_darts"]
    write(tmp_path, evidence)
    text = (tmp_path / "table.md").read_text()
    for words in (
        "Cells found on darts/cifar10",
        "0.100 GPU-days, NVIDIA H100",
        "trained from scratch: each",
        "2.57 ± 0.07",
        "mobile",
    ):
        assert words in text
    assert "Printed of darts/cifar10, not measured here" in text and "16.83" in text  # SparseNAS on CIFAR-100
    assert len(pd.read_csv(tmp_path / "trainings.csv")) == len(evidence.trainings)
    assert (tmp_path / "genotypes.png").stat().st_size > 1000 and "genotypes.png" in text
    assert (
        "Cells of the DARTS space, as the first finished search of each row proposed them: normal and reduction cell." in text
    )


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
