"""The tables of trainings from scratch: spreads between searches and within a cell, and the label of a choice."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from reports import published
from reports.facts import Part
from reports.genotypes import edges
from reports.report import write
from reports.study import Study
from reports.trainings import by_search, chosen_cell, every_cell, nested, printed


def test_the_two_spreads_of_a_nested_design_are_recovered() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(3.0, 0.2, 400)
    found = nested([rng.normal(cell, 0.1, 3).tolist() for cell in cells])
    assert found.mean == pytest.approx(3.0, abs=0.03)
    assert found.between == pytest.approx(0.2, abs=0.02) and found.within == pytest.approx(0.1, abs=0.01)
    assert (found.cells, found.trainings) == (400, 1200)


def test_equal_cells_have_no_spread_between_them_and_few_tell_nothing() -> None:
    rng = np.random.default_rng(1)
    assert nested([rng.normal(3, 0.1, 5).tolist() for _ in range(2000)]).between < 0.02
    assert nested([[1.0, 3.0], [2.0, 2.0]]).between == 0
    single = nested([[1.0], [2.0]])
    assert math.isnan(single.between) and math.isnan(single.within) and single.total == pytest.approx(0.5**0.5)
    assert math.isnan(nested([[1.0, 2.0]]).between) and math.isnan(nested([]).mean)


def trainings(stage: str = "each", chosen_on: str = "", **columns: object) -> pd.DataFrame:
    lines = [(world, seed) for world in (0, 1) for seed in (0, 1)] if not chosen_on else [(1, seed) for seed in (0, 1, 2)]
    made = {
        "stage": stage, "benchmark": "darts/cifar10", "row": "pc_darts", "arch": "x", "status": "done", "recipe": "pc_darts",
        "epochs": 600, "data": "cifar10", "split": "test", "images": "50,000 + 10,000",
        "chosen_by": "choice" if chosen_on else "", "chosen_on": chosen_on,
        "best": 98.0, "parameters": 3.63e6, "macs": 556.7e6, "seconds": 1.0, "device": "cuda",
    }  # fmt: skip
    made |= columns
    return pd.DataFrame(
        [{**made, "world": w, "seed": s, "run_id": f"{w}{s}", "accuracy": 97.0 + 0.4 * w + 0.1 * s} for w, s in lines]
    )


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


def test_a_choice_on_test_says_so() -> None:
    honest, papers = (chosen_cell(trainings("chosen", on), {}, {}, {}) for on in ("valid", "test"))
    assert honest.rows[0][:4] == ["pc_darts", "1", "3", "2.50 ± 0.08"]
    assert "best validation accuracy in the trainings 'choice'" in honest.caption and "optimistic" not in honest.caption
    assert "best TEST accuracy" in papers.caption and "optimistic" in papers.caption


def test_the_papers_numbers_stand_beside(tmp_path) -> None:
    runs = pd.DataFrame(
        [
            {"run_id": str(world), "protocol": "darts", "benchmark": "darts/cifar10", "row": "pc_darts", "method": "pc_darts",
             "label": "", "world": world, "status": "done", "error": "", "arch": CONAS, "queries": 0, "seconds": 1.0,
             "wall_seconds": 8640.0, "device": "cuda", "target": "cifar10", "test": math.nan, "valid": math.nan,
             "regret": math.nan, "rank": math.nan, "parameters": 3.6e6 + world, "macs": 5.5e8}
            for world in (0, 1)
        ]
    )  # fmt: skip
    facts = {
        "protocol": "darts",
        "title": "DARTS",
        "host": {"accelerator": "NVIDIA H100"},
        "parts": [Part("darts/cifar10", judge={"cifar10": ""}, planned={"pc_darts": 2})],
    }
    told = printed(Study(runs, facts, published.load()), "darts/cifar10", "cifar10")
    assert "2.57 ± 0.07 (3.60 M; 0.1 GPU-days; SparseNAS T1" in told["pc_darts"]
    lines = pd.concat([trainings(), trainings("chosen", "valid"), trainings("mobile", "valid", data="imagenet")])
    write(tmp_path, runs, [], facts, trained=lines)
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
    assert len(pd.read_csv(tmp_path / "trainings.csv")) == len(lines)
    assert (tmp_path / "genotypes.png").stat().st_size > 1000 and "genotypes.png" in text


CONAS = (
    "Genotype(normal=[[('max_pool_3x3', 0), ('sep_conv_3x3', 0)], [], [('skip_connect', 2)], []], normal_concat=[2, 4],"
    " reduce=[('skip_connect', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('sep_conv_3x3', 2), ('skip_connect', 0),"
    " ('sep_conv_3x3', 2), ('skip_connect', 0), ('dil_conv_3x3', 2)], reduce_concat=range(2, 6))"
)


def test_a_genotype_is_read_for_its_drawing() -> None:
    cell = edges(CONAS)
    assert cell["normal"] == [(0, 2, "max_pool_3x3"), (0, 2, "sep_conv_3x3"), (2, 4, "skip_connect"), (2, 6, ""), (4, 6, "")]
    assert len(cell["reduce"]) == 12 and cell["reduce"][-5] == (2, 5, "dil_conv_3x3")
    assert edges("|none~0|") == {}
