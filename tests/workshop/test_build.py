"""The digits build: a fixed task, shards that survive interruptions, and records that depend on nothing but their seeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.digits_tables import build, native, shards
from benchmarks.digits_tables.assembly import LIMIT, LOSS_UNIT, check_complete, records
from benchmarks.digits_tables.build import run, train_unit
from benchmarks.digits_tables.nb201 import NB201Recipe, app, classes, representatives
from benchmarks.digits_tables.shards import Archive, Folder, opened, pack, top_cells, units
from benchmarks.digits_tables.timing import fit
from benchmarks.digits_tables.trainer import Trainer
from benchmarks.nb201 import digits_bundle
from benchmarks.nb201.digits_bundle import FILES, SETTINGS, DigitsSettings
from benchmarks.nb201.space import NB201Space, official_order
from harness.errors import UserError
from tests import made_digits

TINY = NB201Recipe(DigitsSettings(epochs={"short": 1, "long": 2}, draws=2))
APP = app()
CELLS = [index for index in representatives() if sum(op in (2, 3) for op in official_order()[index]) < 2][:6]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 2)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return Trainer(TINY)


def quiet(_: str) -> None: ...


def test_noise_is_fresh_every_epoch_and_the_same_every_time(trainer: Trainer) -> None:
    first, labels = trainer.batches(0, 0)
    again, _ = Trainer(TINY).batches(0, 0)
    assert torch.equal(first, again)
    assert first.shape == (8, 128, 1, 8, 8)
    for different in (trainer.batches(0, 1), trainer.batches(1, 0)):
        assert not torch.equal(first, different[0])
        assert sorted(labels.flatten().tolist()) == sorted(different[1].flatten().tolist())
    noise = trainer.valid[0][:384] - trainer.valid[0][384:768]
    assert noise.std() == pytest.approx(TINY.settings.noise * 2**0.5, rel=0.02)


def test_every_class_has_one_representative() -> None:
    first = classes()
    assert len(representatives()) == len(set(first.tolist())) == 6466
    space = NB201Space()
    for index in range(0, 15625, 97):
        assert first[index] <= index
        assert space.canonical(official_order()[index]) == space.canonical(official_order()[first[index]])


def test_counts_are_counts(trainer: Trainer) -> None:
    trained = trainer.train(CELLS[:1], (0, 1), "long")
    assert trained.curve.shape == (2, 2)
    assert trained.curve.max() <= 384
    assert trained.valid.max() <= 384 * TINY.settings.draws
    assert trained.test.max() <= 389 * TINY.settings.draws
    assert np.isfinite(trained.test_loss).all()


@pytest.mark.skipif(not native.fits(TINY.settings.batch, torch.float64), reason="no C compiler")
def test_compiled_kernels_make_the_records_of_torch() -> None:
    cell = official_order().index((3, 2, 4, 1, 0, 3))
    compiled, plain = (Trainer(TINY, dtype=torch.float64, compiled=either) for either in (True, False))
    assert compiled.compiled and not plain.compiled
    result, expected = (trainer.train([cell], (0, 1), "long") for trainer in (compiled, plain))
    for part in ("curve", "valid", "test"):
        assert (getattr(result, part) == getattr(expected, part)).all()
    np.testing.assert_allclose(result.valid_loss, expected.valid_loss, rtol=1e-6)
    np.testing.assert_allclose(result.test_loss, expected.test_loss, rtol=1e-6)


@pytest.mark.skipif(not native.fits(SETTINGS.batch, torch.float32), reason="no C compiler")
def test_a_whole_training_ends_within_seed_noise_of_torch() -> None:
    cell, short = official_order().index((3, 0, 2, 1, 0, 3)), NB201Recipe(replace(SETTINGS, draws=2))
    result, expected = (Trainer(short, compiled=either).train([cell], (0, 1), "short") for either in (True, False))
    apart = (result.test.astype(float) - expected.test) / (389 * 2) * 100
    assert expected.test.mean() / (389 * 2) > 0.8
    assert np.abs(apart).max() < 2
    assert np.abs(result.curve[:, 0].astype(int) - expected.curve[:, 0]).max() <= 2  # rounding has not spread yet


def test_workers_and_interruptions_change_nothing(tmp_path: Path) -> None:
    wanted = units("main", CELLS, (0,))
    at_once, pieces = Folder(tmp_path / "at_once"), Folder(tmp_path / "pieces")
    run(at_once, wanted, TINY, workers=2, say=quiet)
    run(pieces, wanted[1:2], TINY, say=quiet)
    before = (pieces.path / pieces.shards()[wanted[1].name]).stat().st_mtime_ns
    run(pieces, wanted, TINY, say=quiet)
    assert (pieces.path / pieces.shards()[wanted[1].name]).stat().st_mtime_ns == before
    assert at_once.shards() == pieces.shards()  # the names contain the checksums


def test_the_time_left_is_estimated_from_shards_that_were_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 1000)
    folder = Folder(tmp_path)
    folder.settle(SETTINGS, 3)
    for unit in units("main", representatives(), range(3))[:4]:
        folder.write(unit, made_digits.shard(unit))

    def status(*times: float) -> str:
        for name, at in zip(folder.shards().values(), times, strict=True):
            os.utime(tmp_path / name, (at, at))
        return CliRunner().invoke(APP, ["status", "--out", str(tmp_path)]).output

    assert "left" not in status(100, 100, 100, 100)  # a checkout
    assert "about 0:03:00 left" in status(100, 100, 100, 160)  # three more shards


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    script = (
        "import sys; from dataclasses import replace;"
        "from benchmarks.digits_tables import nb201, shards;"
        "shards.CELLS_PER_SHARD = 1;"
        "settings = replace(nb201.SETTINGS, epochs={'short': 1, 'long': 1}, draws=1);"
        f"sys.argv = ['build', 'build', '--out', {str(tmp_path)!r}, '--workers', '1'];"
        "nb201.app(nb201.NB201Recipe(settings))()"
    )
    run_again = [sys.executable, "-c", script]
    process = subprocess.Popen(run_again, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    folder, until = Folder(tmp_path), time.monotonic() + 60
    while len(folder.shards()) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = folder.shards()
    assert len(finished) >= 3
    for name in finished.values():
        folder.read(name)
    first = units("main", representatives(), range(3))
    assert [unit.name for unit in folder.pending(first[: len(finished) + 1])] in ([f"main-{len(finished):04}"], [])


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    wanted, folder = units("main", CELLS[:2], (0,)), Folder(tmp_path)
    run(folder, wanted, TINY, say=quiet)
    path = tmp_path / folder.shards()["main-0000"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        run(folder, wanted, TINY, say=quiet)


def test_a_folder_contains_one_build(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settle(SETTINGS, 3)
    folder.settle(SETTINGS, 3)
    with pytest.raises(UserError, match="seeds = 3, not 4"):
        folder.settle(SETTINGS, 4)
    with pytest.raises(UserError, match="another --out"):
        folder.settle(TINY.settings, 3)


def test_a_finished_build_becomes_three_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 2000)
    folder = made_digits.build(tmp_path / "build")
    to = tmp_path / "table"
    answer = CliRunner().invoke(APP, ["assemble", "--from", str(folder.path), "--to", str(to)])
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
    assert len(top_cells(folder, representatives())) == 647


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
        check_complete(folder, representatives())
    with pytest.raises(UserError, match="contains no shard yet"):
        records(folder)
    with pytest.raises(UserError, match="6466 cells are not trained"):
        top_cells(folder, representatives())
    monkeypatch.setattr(shards, "CELLS_PER_SHARD", 500)
    folder = made_digits.build(tmp_path / "begun")
    (folder.path / folder.shards()["top-0001"]).unlink()
    with pytest.raises(UserError, match="1 of 2 shards of the best tenth"):
        check_complete(folder, representatives())
    (folder.path / folder.shards()["top-0000"]).unlink()
    check_complete(folder, representatives())  # without that pass it is a table of three seeds


def test_a_build_of_other_settings_is_no_table(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settle(TINY.settings, 1)
    folder.write_clock(made_digits.CLOCK)
    answer = CliRunner().invoke(APP, ["assemble", "--from", str(tmp_path), "--to", str(tmp_path / "table")])
    assert isinstance(answer.exception, UserError)
    assert f"other settings ({TINY.settings.digest}, here {SETTINGS.digest})" in str(answer.exception)
    assert not (tmp_path / "table").exists()


def test_the_clock_finds_its_own_coefficients() -> None:
    costs = 5 + np.array([0.0, 1.0, 2.0, 4.0, 3.0])[np.array(official_order()[:200])].sum(1)
    features = TINY.features(range(200))
    line = fit(digits_bundle.BUNDLE.prices, features, costs)
    assert line.r2 == pytest.approx(1)
    assert line.per["nor_conv_3x3"] == pytest.approx(4)
    np.testing.assert_allclose(line.cost(features), costs)


@pytest.mark.parametrize("text", ["5", "7:3", "0:7000", "a:b"])
def test_a_wrong_range_is_one_line(text: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(APP, ["build", "--out", str(tmp_path), "--cells", text])
    assert isinstance(answer.exception, UserError)
    assert text in str(answer.exception)


def test_verify_detects_a_changed_record(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settle(TINY.settings, 1)
    unit = units("main", representatives(), (0,))[0]
    shard = train_unit(build.prepare(TINY), unit)
    folder.write(unit, shard)
    tiny, command = app(TINY), ["verify", "--from", str(tmp_path), "--cells", "2"]
    answer = CliRunner().invoke(tiny, command)
    assert (answer.exit_code, "2 of 2 equal" in answer.output) == (0, True), answer.output
    assert "2 of 6466 cells with 1 seeds" in CliRunner().invoke(APP, ["status", "--out", str(tmp_path)]).output
    (tmp_path / folder.shards()[unit.name]).unlink()
    folder.write(unit, {**shard, "long_test": (shard["long_test"] + 100).astype(np.uint16)})
    answer = CliRunner().invoke(tiny, command)
    assert (answer.exit_code, "0 of 2 equal" in answer.output) == (1, True), answer.output


def test_an_archive_contains_the_folder_and_is_the_same_every_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "build")
    folder.settle(SETTINGS, 3)
    folder.write_clock(made_digits.CLOCK)
    for unit in units("main", CELLS, range(3)):
        folder.write(unit, made_digits.shard(unit))
    (folder.path / "main-0009-unfinished.tmp").write_text("")
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    pack(folder, first)
    for path in folder.path.iterdir():
        os.utime(path, (1, 1))
    pack(opened(first), second)
    assert first.read_bytes() == second.read_bytes()
    archive = Archive(first)
    assert (archive.plan, archive.clock(), archive.shards()) == (folder.plan, folder.clock(), folder.shards())
    assert all(archive.content(name) == folder.content(name) for name in archive.names())


def test_an_archive_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.zip is missing"):
        _ = opened(tmp_path / "no.zip").plan
    (tmp_path / "cut.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"cut\.zip is damaged"):
        _ = opened(tmp_path / "cut.zip").plan
