"""nb1shot1/1-digits: a fixed list of cells, and records that depend only on their seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.bundled.bundle import read
from benchmarks.digits_tables import build, native, shards
from benchmarks.digits_tables.build import train_unit
from benchmarks.digits_tables.nb1shot1 import SPACE, NB1Shot1Recipe, app, representatives
from benchmarks.digits_tables.shards import Folder, units
from benchmarks.digits_tables.timing import fit
from benchmarks.digits_tables.trainer import Trainer
from benchmarks.nb1shot1.digits_bundle import FILES, SETTINGS, DigitsSettings
from benchmarks.nb1shot1.digits_clock import FEATURES
from benchmarks.nb1shot1.macro import Macro
from benchmarks.nb1shot1.size import network_size
from tests import made_nb1shot1_digits

SMALL = Macro(width=4, depth=1, channels=1, size=8, stem=1)
TINY = NB1Shot1Recipe(DigitsSettings(SMALL, epochs={"short": 1, "long": 2}, draws=2))
RECIPE = NB1Shot1Recipe()


def test_every_different_cell_of_space_1_once() -> None:
    cells = representatives()
    assert len(cells) == len(set(cells)) == 2685
    assert len({SPACE.canonical(SPACE.at(cell)) for cell in cells}) == 2685
    for number in range(0, SPACE.size, 501):
        key = SPACE.canonical(SPACE.at(number))
        assert next(cell for cell in sorted(cells) if SPACE.canonical(SPACE.at(cell)) == key) <= number


def test_an_unfinished_build_is_a_sample() -> None:
    first = np.array(representatives()[:256]) / SPACE.size
    assert first.mean() == pytest.approx(np.mean(representatives()) / SPACE.size, abs=0.08)


@pytest.mark.skipif(not native.fits(TINY.settings.batch, torch.float64), reason="no C compiler")
def test_compiled_kernels_make_the_records_of_torch() -> None:
    cell = representatives()[0]
    compiled, plain = (Trainer(TINY, dtype=torch.float64, compiled=flag) for flag in (True, False))
    result, expected = (trainer.train([cell], (0,), "long") for trainer in (compiled, plain))
    for part in ("curve", "valid", "test"):
        assert (getattr(result, part) == getattr(expected, part)).all()
    np.testing.assert_allclose(result.test_loss, expected.test_loss, rtol=1e-6)


def test_a_build_is_counted_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 2)
    folder = Folder(tmp_path)
    folder.settle(TINY.settings, 1)
    unit = units("main", representatives(), (0,))[0]
    folder.write(unit, train_unit(build.prepare(TINY), unit))
    result = CliRunner().invoke(app(TINY), ["status", "--out", str(tmp_path)])
    assert "2 of 2685 cells with 1 seeds, 1 of 1343 shards" in result.output, result.output
    result = CliRunner().invoke(app(TINY), ["verify", "--from", str(tmp_path), "--cells", "2"])
    assert (result.exit_code, "2 of 2 equal" in result.output) == (0, True), result.output


def test_a_finished_build_becomes_three_small_files(tmp_path: Path) -> None:
    folder, to = made_nb1shot1_digits.build(tmp_path / "build"), tmp_path / "table"
    result = CliRunner().invoke(app(), ["assemble", "--from", str(folder.path), "--to", str(to)])
    assert result.exit_code == 0, result.output
    sums = json.loads((to / FILES.manifest).read_text())["files"]
    final = read(to / FILES.final, sums[FILES.final])
    assert len(final["cell"]) == 3 * 2685
    shard = folder.read(folder.shards()["main-0001"])
    row = (final["cell"] == shard["cells"][7]) & (final["seed"] == 2)
    assert final["long_test"][row] == shard["long_test"][7, 2]
    cells = read(to / FILES.cells, sums[FILES.cells])
    number = int(cells["cell"][99])
    cell = SPACE.cell(SPACE.at(number))
    assert (cells["params"][99], cells["macs"][99]) == network_size(cell, SETTINGS.macro)
    assert cells["train_us"][99] == pytest.approx(30 + RECIPE.features([number]).sum(), rel=1e-5)


def test_the_clock_finds_its_own_coefficients() -> None:
    features = RECIPE.features(representatives()[:200])
    line = fit(FEATURES, features, 5 + features @ np.arange(1.0, 6.0))
    assert line.r2 == pytest.approx(1)
    assert (line.base, line.per["maxpool3x3"]) == pytest.approx((5, 3))


def test_the_settings_are_those_of_the_datasheet() -> None:
    assert SETTINGS.macro == Macro(width=8, depth=1, channels=1, size=8, stem=1)
    assert SETTINGS.epochs == {"short": 12, "long": 36}


def test_the_datasheet_covers_every_cell_and_nas_bench_101(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    result = CliRunner().invoke(app(), ["statistics", "--from", str(made_nb1shot1_digits.build(tmp_path / "build").path)])
    assert result.exit_code == 0, result.output
    assert "2,685 of 2,685 unique cells, 3 trainings each by either recipe.\n" in result.output
    assert "| long | top tenth | 268 |" in result.output
    assert "| evaluation | 30.0 | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 | 0.900 | 1.00 |" in result.output
    assert "Agreement with NAS-Bench-101: not measured, no table of it was found." in result.output
