"""The digits build: a fixed task, shards that survive interruptions, and records that depend on nothing but their seeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.images import digits as images
from benchmarks.nb201 import digits, digits_bundle, digits_table
from benchmarks.nb201.digits_clock import FEATURES, features
from benchmarks.nb201.digits_table import FILES
from benchmarks.nb201.digits_task import SETTINGS, Settings, Task
from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.unique import representatives
from benchmarks.training import build, native
from benchmarks.training.build import Folder, run, train_unit, units
from benchmarks.training.clock import fit
from benchmarks.training.table import LIMIT, LOSS_UNIT, records, whole
from harness.errors import UserError
from tests import made_digits

TINY = Settings(epochs={"short": 1, "long": 2}, draws=2)
CELLS = [index for index in representatives() if sum(op in (2, 3) for op in official_order()[index]) < 2][:6]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CELLS_PER_SHARD", 2)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(TINY)


def quiet(_: str) -> None: ...


def test_the_split_is_fixed_and_stratified() -> None:
    parts = images.load()
    assert [len(part.labels) for part in parts] == list(images.SIZES)
    everything = Counter(np.concatenate([part.labels for part in parts]).tolist())
    for part in parts:
        for digit, count in Counter(part.labels.tolist()).items():
            assert abs(count - everything[digit] * len(part.labels) / 1797) < 2
    rows = images.split(np.concatenate([np.arange(10)] * 179 + [np.arange(7)]))
    assert sorted(np.concatenate(rows).tolist()) == list(range(1797))
    train = parts[0].images
    assert abs(train.mean()) < 1e-6
    assert abs(train.std() - 1) < 1e-6


def test_noise_is_fresh_every_epoch_and_the_same_every_time(task: Task) -> None:
    first, labels = task.batches(0, 0)
    again, _ = Task(TINY).batches(0, 0)
    assert torch.equal(first, again)
    assert first.shape == (8, 128, 1, 8, 8)
    for other in (task.batches(0, 1), task.batches(1, 0)):
        assert not torch.equal(first, other[0])
        assert sorted(labels.flatten().tolist()) == sorted(other[1].flatten().tolist())
    noise = task.valid[0][:384] - task.valid[0][384:768]
    assert noise.std() == pytest.approx(TINY.noise * 2**0.5, rel=0.02)


def test_every_class_has_one_representative() -> None:
    classes = digits_table.classes()
    assert len(representatives()) == len(set(classes.tolist())) == 6466
    space = NB201Space()
    for index in range(0, 15625, 97):
        assert classes[index] <= index
        assert space.canonical(official_order()[index]) == space.canonical(official_order()[classes[index]])


def test_counts_are_counts(task: Task) -> None:
    trained = task.train(CELLS[:1], (0, 1), "long")
    assert trained.curve.shape == (2, 2)
    assert trained.curve.max() <= 384
    assert trained.valid.max() <= 384 * TINY.draws
    assert trained.test.max() <= 389 * TINY.draws
    assert np.isfinite(trained.test_loss).all()


def test_cells_together_are_cells_alone() -> None:
    exact = Task(TINY, dtype=torch.float64, compiled=False)
    unit = units("main", CELLS[:2], (0, 1))[0]
    alone, together = train_unit(exact, unit, together=1), train_unit(exact, unit, together=2)
    for name in alone:
        np.testing.assert_allclose(alone[name], together[name], rtol=1e-6)


@pytest.mark.skipif(not native.fits(TINY.batch, torch.float64), reason="no C compiler")
def test_compiled_kernels_make_the_records_of_torch() -> None:
    cell = official_order().index((3, 2, 4, 1, 0, 3))
    compiled, plain = (Task(TINY, dtype=torch.float64, compiled=either) for either in (True, False))
    assert compiled.compiled and not plain.compiled
    found, expected = (task.train([cell], (0, 1), "long") for task in (compiled, plain))
    for part in ("curve", "valid", "test"):
        assert (getattr(found, part) == getattr(expected, part)).all()
    np.testing.assert_allclose(found.valid_loss, expected.valid_loss, rtol=1e-6)
    np.testing.assert_allclose(found.test_loss, expected.test_loss, rtol=1e-6)


@pytest.mark.skipif(not native.fits(SETTINGS.batch, torch.float32), reason="no C compiler")
def test_a_whole_training_ends_within_seed_noise_of_torch() -> None:
    cell, short = official_order().index((3, 0, 2, 1, 0, 3)), replace(SETTINGS, draws=2)
    found, expected = (Task(short, compiled=either).train([cell], (0, 1), "short") for either in (True, False))
    apart = (found.test.astype(float) - expected.test) / (389 * 2) * 100
    assert expected.test.mean() / (389 * 2) > 0.8
    assert np.abs(apart).max() < 2
    assert np.abs(found.curve[:, 0].astype(int) - expected.curve[:, 0]).max() <= 2  # rounding has not spread yet


def test_workers_and_interruptions_change_nothing(tmp_path: Path) -> None:
    wanted = units("main", CELLS, (0,))
    whole, pieces = Folder(tmp_path / "whole"), Folder(tmp_path / "pieces")
    run(whole, wanted, Task, TINY, workers=2, say=quiet)
    run(pieces, wanted[1:2], Task, TINY, say=quiet)
    kept = pieces.shards()[wanted[1].name].stat().st_mtime_ns
    run(pieces, wanted, Task, TINY, say=quiet)
    assert pieces.shards()[wanted[1].name].stat().st_mtime_ns == kept
    # the names carry the checksums
    assert [path.name for path in whole.shards().values()] == [path.name for path in pieces.shards().values()]


def test_the_time_left_is_told_from_shards_that_were_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CELLS_PER_SHARD", 1000)
    folder = Folder(tmp_path)
    folder.settle(SETTINGS, 3)
    for unit in units("main", representatives(), range(3))[:4]:
        folder.write(unit, made_digits.shard(unit))

    def status(*times: float) -> str:
        for path, at in zip(folder.shards().values(), times, strict=True):
            os.utime(path, (at, at))
        return CliRunner().invoke(digits.app, ["status", "--out", str(tmp_path)]).output

    assert "left" not in status(100, 100, 100, 100)  # a checkout
    assert "about 0:03:00 left" in status(100, 100, 100, 160)  # three more shards


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.nb201.digits", "build", "--out", str(tmp_path), "--workers", "1"]
    script = (
        "import sys; from dataclasses import replace;"
        "from benchmarks.nb201 import digits, digits_task; from benchmarks.training import build;"
        "build.CELLS_PER_SHARD = 1;"
        "digits_task.SETTINGS = replace(digits_task.SETTINGS, epochs={'short': 1, 'long': 1}, draws=1);"
        f"sys.argv = {command[2:]!r}; digits.main()"
    )
    run_again = [sys.executable, "-c", script]
    process = subprocess.Popen(run_again, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    folder, until = Folder(tmp_path), time.monotonic() + 60
    while len(folder.shards()) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = folder.shards()
    assert len(there) >= 3
    for path in there.values():
        folder.read(path)
    first = units("main", representatives(), range(3))
    assert [unit.name for unit in folder.pending(first[: len(there) + 1])] in ([f"main-{len(there):04}"], [])


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    wanted, folder = units("main", CELLS[:2], (0,)), Folder(tmp_path)
    run(folder, wanted, Task, TINY, say=quiet)
    path = folder.shards()["main-0000"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        run(folder, wanted, Task, TINY, say=quiet)


def test_one_folder_holds_one_build(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settle(SETTINGS, 3)
    folder.settle(SETTINGS, 3)
    with pytest.raises(UserError, match="seeds = 3, not 4"):
        folder.settle(SETTINGS, 4)
    with pytest.raises(UserError, match="another --out"):
        folder.settle(TINY, 3)


def test_a_finished_build_becomes_three_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(build, "CELLS_PER_SHARD", 2000)
    folder = made_digits.build(tmp_path / "build")
    to = tmp_path / "table"
    answer = CliRunner().invoke(digits.app, ["assemble", "--out", str(folder.path), "--to", str(to)])
    assert answer.exit_code == 0, answer.output
    sizes = {path.name: path.stat().st_size for path in to.glob("*.parquet")}
    assert set(sizes) == {FILES.cells, FILES.final, FILES.curves}
    assert max(sizes.values()) < LIMIT
    final = pq.read_table(to / FILES.final).to_pandas()
    assert len(final) == 3 * 6466 + 2 * 647
    shard = folder.read(folder.shards()["main-0001"])
    row = final[(final.cell == shard["cells"][7]) & (final.seed == 2)].iloc[0]
    assert row.long_test == shard["long_test"][7, 2]
    assert row.long_test_loss * LOSS_UNIT == pytest.approx(shard["long_test_loss"][7, 2], abs=6e-5)
    curves = pq.read_table(to / FILES.curves).to_pandas()
    row = curves[(curves.cell == shard["cells"][7]) & (curves.seed == 2)].iloc[0]
    assert [row[f"short_{epoch:02}"] for epoch in range(1, 13)] == shard["short_curve"][7, 2].tolist()
    cells = pq.read_table(to / FILES.cells).to_pandas()
    all_skip = cells.iloc[1835]
    assert (all_skip.train_us, all_skip.evaluate_us) == pytest.approx((20 + 6 * 1.0, 6 + 6 * 0.3))
    assert len(build.top_cells(folder, representatives())) == 647


def test_every_file_says_what_it_was_made_of(made: Path) -> None:
    import pyarrow.parquet as pq

    data = digits_bundle.BUNDLE.folder()
    manifest = json.loads((data / FILES.manifest).read_text())
    for name in manifest["files"]:
        facts = json.loads(pq.read_schema(data / name).metadata[b"digits"])
        assert facts == {key: value for key, value in manifest.items() if key != "files"}
    assert manifest["digest"] == SETTINGS.digest == digits_bundle.BUNDLE.digest
    assert manifest["seeds"] == [3, 5]


def test_an_unfinished_build_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "none")
    folder.settle(SETTINGS, 3)
    with pytest.raises(UserError, match="6466 of 6466 cells have no record"):
        whole(folder, representatives())
    with pytest.raises(UserError, match="holds no shard yet"):
        records(folder)
    with pytest.raises(UserError, match="6466 cells are not trained"):
        build.top_cells(folder, representatives())
    monkeypatch.setattr(build, "CELLS_PER_SHARD", 500)
    folder = made_digits.build(tmp_path / "begun")
    folder.shards()["top-0001"].unlink()
    with pytest.raises(UserError, match="1 of 2 shards of the best tenth"):
        whole(folder, representatives())
    folder.shards()["top-0000"].unlink()
    whole(folder, representatives())  # without that pass it is a table of three seeds


def test_a_build_of_other_settings_is_no_table(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settle(TINY, 1)
    made_digits.CLOCK.save(folder.clock)
    answer = CliRunner().invoke(digits.app, ["assemble", "--out", str(tmp_path), "--to", str(tmp_path / "table")])
    assert isinstance(answer.exception, UserError)
    assert f"other settings ({TINY.digest}, here {SETTINGS.digest})" in str(answer.exception)
    assert not (tmp_path / "table").exists()


def test_the_clock_finds_its_own_coefficients() -> None:
    costs = 5 + np.array([0.0, 1.0, 2.0, 4.0, 3.0])[np.array(official_order()[:200])].sum(1)
    made_of = features(range(200))
    line = fit(FEATURES, made_of, costs)
    assert line.r2 == pytest.approx(1)
    assert line.per["nor_conv_3x3"] == pytest.approx(4)
    np.testing.assert_allclose(line.cost(made_of), costs)


@pytest.mark.parametrize("text", ["5", "7:3", "0:7000", "a:b"])
def test_a_wrong_range_is_one_line(text: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(digits.app, ["build", "--out", str(tmp_path), "--cells", text])
    assert isinstance(answer.exception, UserError)
    assert text in str(answer.exception)


def test_verify_finds_what_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.nb201.digits_task.SETTINGS", TINY)
    folder = Folder(tmp_path)
    folder.settle(TINY, 1)
    unit = units("main", representatives(), (0,))[0]
    shard = train_unit(build.prepare(Task, TINY, "cpu"), unit, together=1)  # one thread, as a build
    folder.write(unit, shard)
    command = ["verify", "--out", str(tmp_path), "--cells", "2"]
    answer = CliRunner().invoke(digits.app, command)
    assert (answer.exit_code, "2 of 2 equal" in answer.output) == (0, True), answer.output
    assert "2 of 6466 cells with 1 seeds" in CliRunner().invoke(digits.app, ["status", "--out", str(tmp_path)]).output
    folder.shards()[unit.name].unlink()
    folder.write(unit, {**shard, "long_test": (shard["long_test"] + 100).astype(np.uint16)})
    answer = CliRunner().invoke(digits.app, command)
    assert (answer.exit_code, "0 of 2 equal" in answer.output) == (1, True), answer.output
