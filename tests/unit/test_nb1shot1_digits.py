"""nb1shot1/1-digits: a fixed list of cells, and records that depend on nothing but their seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.nb1shot1 import digits
from benchmarks.nb1shot1.digits_task import SETTINGS, SPACE, Settings, Task
from benchmarks.nb1shot1.network import Macro
from benchmarks.nb1shot1.unique import representatives
from benchmarks.training import build, native
from benchmarks.training.build import Folder, train_unit, units

TINY = Settings(epochs={"short": 1, "long": 2}, draws=2, macro=Macro(width=4, depth=1, channels=1, size=8, stem=1))


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


@pytest.mark.skipif(not native.fits(TINY.batch, torch.float64), reason="no C compiler")
def test_compiled_kernels_make_the_records_of_torch() -> None:
    cell = representatives()[0]
    compiled, plain = (Task(TINY, dtype=torch.float64, compiled=either) for either in (True, False))
    found, expected = (task.train([cell], (0,), "long") for task in (compiled, plain))
    for part in ("curve", "valid", "test"):
        assert (getattr(found, part) == getattr(expected, part)).all()
    np.testing.assert_allclose(found.test_loss, expected.test_loss, rtol=1e-6)


def test_a_build_is_counted_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CELLS_PER_SHARD", 2)
    monkeypatch.setattr("benchmarks.nb1shot1.digits_task.SETTINGS", TINY)
    folder = Folder(tmp_path)
    folder.settle(TINY, 1)
    unit = units("main", representatives(), (0,))[0]
    folder.write(unit, train_unit(build.prepare(Task, TINY, "cpu"), unit, together=1))
    answer = CliRunner().invoke(digits.app, ["status", "--out", str(tmp_path)])
    assert "2 of 2685 cells with 1 seeds, 1 of 1343 shards" in answer.output, answer.output
    answer = CliRunner().invoke(digits.app, ["verify", "--out", str(tmp_path), "--cells", "2"])
    assert (answer.exit_code, "2 of 2 equal" in answer.output) == (0, True), answer.output


def test_the_settings_are_those_of_the_datasheet() -> None:
    assert SETTINGS.macro == Macro(width=8, depth=1, channels=1, size=8, stem=1)
    assert SETTINGS.epochs == {"short": 12, "long": 36}
