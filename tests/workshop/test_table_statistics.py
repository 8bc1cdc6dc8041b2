"""The statistics recover known numbers, and the datasheet states only what the records contain."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.digits_tables import datasheet, shards, statistics
from benchmarks.digits_tables.nb201 import app, classes, representatives
from benchmarks.digits_tables.nb201_statistics import equal_cells, function, live
from benchmarks.digits_tables.shards import Folder, units
from benchmarks.digits_tables.statistics import Accuracies
from benchmarks.nb201.digits_bundle import SETTINGS
from benchmarks.nb201.space import OPS, NB201Space, official_order
from harness.errors import UserError
from harness.packages import PROJECT
from tests import made_digits

SPACE = NB201Space()
UNIQUE = np.array(representatives())


def accuracies(between: float, within: float, cells: int = 3000, seeds: int = 3) -> Accuracies:
    random = np.random.default_rng(0)
    means = 80 + random.normal(0, between, (cells, 1))
    valid, test = (means + random.normal(0, within, (cells, seeds)) for _ in range(2))
    return Accuracies(UNIQUE[:cells], valid, test)


@pytest.mark.parametrize(("between", "within"), [(2.0, 1.0), (1.0, 1.0), (0.3, 0.6)])
def test_noise_recovers_known_spreads(between: float, within: float) -> None:
    noise = statistics.noise(accuracies(between, within), np.arange(3000))
    assert noise.between == pytest.approx(between, rel=0.08)
    assert noise.within == pytest.approx(within, rel=0.05)
    single = between**2 / (between**2 + within**2)
    assert noise.seed_to_seed == pytest.approx(single, abs=0.05)  # Spearman's and Pearson's are close for normal values
    assert noise.three == pytest.approx(3 * single / (1 + 2 * single), abs=0.03)  # Spearman-Brown
    assert math.isnan(noise.three_two)


def test_five_seeds_are_compared_by_separate_means() -> None:
    records = accuracies(1.0, 1.0, cells=400, seeds=5)
    records.valid[200:, 3:] = np.nan
    assert records.common == 3
    assert statistics.noise(records, np.arange(200)).three_two == pytest.approx(0.7, abs=0.1)
    assert math.isnan(statistics.noise(records, np.arange(400)).three_two)


def test_groups_are_nested_and_the_best() -> None:
    records = accuracies(3.0, 1.0, cells=1000)
    among = statistics.groups(records)
    assert [len(among[name]) for name in ("all", "top half", "top tenth")] == [1000, 500, 100]
    assert set(among["top tenth"]) < set(among["top half"])
    mean = records.valid.mean(axis=1)
    assert mean[among["top tenth"]].min() >= np.sort(mean)[-100]


def test_4930_cells_are_distinct_functions() -> None:
    assert len({function(arch) for arch in official_order()}) == 4930
    assert sum(live(arch) for arch in official_order()) == 15625 - 341


cells = st.tuples(*[st.integers(0, len(OPS) - 1)] * 6)


@given(cells)
def test_the_unique_cell_of_a_cell_is_the_same_function(arch: tuple[int, ...]) -> None:
    assert function(SPACE.at(int(classes()[SPACE.index(arch)]))) == function(arch)


def test_cells_that_are_the_same_function_are_as_far_apart_as_their_seeds() -> None:
    random = np.random.default_rng(1)
    names = [function(official_order()[cell]) for cell in UNIQUE]
    means = {name: random.normal(80, 5) for name in set(names)}
    values = np.array([means[name] for name in names])[:, None] + random.normal(0, 1, (len(UNIQUE), 3))
    equal = equal_cells(Accuracies(UNIQUE, values, values))
    assert equal.by_seeds == pytest.approx(1 / 3**0.5, rel=0.05)
    assert equal.within == pytest.approx(equal.by_seeds, rel=0.1)
    assert equal.ignored == pytest.approx(5, rel=0.1)
    assert equal.cells - equal.classes == 6466 - 4930 - (len([n for n in names if not n]) - 1)


def unfinished(path: Path) -> Folder:
    folder = Folder(path)
    folder.settle(SETTINGS, 3)
    for unit in units("main", representatives(), range(3))[:4]:
        folder.write(unit, made_digits.shard(unit))
    return folder


def test_an_unfinished_build_states_its_number_of_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    folder = unfinished(tmp_path / "build")
    result = CliRunner().invoke(app(), ["statistics", "--from", str(folder.path)])
    assert result.exit_code == 0, result.output
    assert "128 of 6,466 unique cells, 3 trainings each by either recipe. The build is not finished" in result.output
    assert "| long | top tenth | 13 |" in result.output
    assert "The clock is not measured yet." in result.output
    assert "not measured, no table of it was found" in result.output


def test_a_finished_build_fills_its_place_in_the_datasheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 2000)
    folder = made_digits.build(tmp_path / "build")
    sheet = tmp_path / "sheet.md"
    sheet.write_text(f"before\n{datasheet.BEGIN}\nold\n{datasheet.END}\nafter\n")
    command = ["statistics", "--from", str(folder.path), "--into", str(sheet)]
    assert CliRunner().invoke(app(), command).exit_code == 0
    text = sheet.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "6,466 of 6,466 unique cells, 3 to 5 trainings each by either recipe.\n" in text
    assert "| training step | 20.0 | 1.00 | 5.00 | 11.0 | 3.00 | 0.990 | 0.500 |" in text
    tops = [line.split(" | ") for line in text.splitlines() if "| top tenth | 647 |" in line]
    assert len(tops) == 2
    assert all(0 < float(line[7]) < 1 for line in tops)  # five seeds: separate means are compared
    assert "plain columns" in text
    assert CliRunner().invoke(app(), command).exit_code == 0
    assert sheet.read_text() == text


def test_a_document_without_a_place_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sheet.md").write_text("nothing")
    with pytest.raises(UserError, match=r"sheet\.md has no place for statistics"):
        datasheet.into(tmp_path / "sheet.md", "text")
    assert (tmp_path / "sheet.md").read_text() == "nothing"


@pytest.mark.parametrize("sheet", ["digits.md", "nb1shot1-digits.md"])
def test_the_datasheet_has_the_place(sheet: str) -> None:
    text = (PROJECT / "docs" / sheet).read_text()
    assert text.index(datasheet.BEGIN) < text.index(datasheet.END)
