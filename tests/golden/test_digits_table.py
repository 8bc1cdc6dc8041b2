"""The bundled tables trained on digits are the ones that their shards say, of every cell, and small."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb1shot1 import digits_bundle as nb1shot1
from benchmarks.nb201 import digits_bundle as nb201
from benchmarks.nb201.table import Records
from benchmarks.nb201.unique import representatives
from benchmarks.training import table
from benchmarks.training.build import Folder
from benchmarks.training.bundle import Bundle
from harness import registry

SEEDS = {"nb201/digits": "3 to 5 seeds", "nb1shot1/1-digits": "3 seeds"}


@pytest.fixture(params=[nb201.BUNDLE, nb1shot1.BUNDLE], ids=lambda bundle: bundle.name)
def bundle(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    bundled: Bundle = request.param
    return bundled


def test_every_cell_has_three_seeds_and_the_best_tenth_five(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    records = Records(nb201.BUNDLE.open())
    for recipe in (12, 36):
        trained = [records.get("digits", recipe, seed, "x-test", "accuracy") for seed in records.seeds("digits", recipe)]
        counts = (~np.isnan(np.stack([one for one in trained if one is not None]))).sum(axis=0)[list(representatives())]
        assert np.bincount(counts).tolist() == [0, 0, 0, 6466 - 647, 0, 647]


def test_every_cell_of_space_1_has_three_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    kept = nb1shot1.BUNDLE.open()
    for recipe in (12, 36):
        for split, images in (("valid", 384), ("test", 389)):
            counts = kept.column(f"{split}/{recipe}")
            assert counts.shape == (2685, 3)
            assert counts.min() >= 0 and counts.max() <= images * 8


def test_it_is_small(bundle: Bundle) -> None:
    sizes = [path.stat().st_size for path in bundle.place.glob(f"{bundle.files.prefix}*")]
    assert len(sizes) == 4
    assert max(sizes) <= table.LIMIT
    assert sum(sizes) < 4_000_000


def test_it_is_made_of_the_shards_that_lie_beside_it(bundle: Bundle) -> None:
    shards = bundle.place.parent / "digits_shards"
    if not shards.is_dir():
        pytest.skip("the shards are not in this copy")
    final, _ = table.records(Folder(shards))
    checksum = json.loads((bundle.place / bundle.files.manifest).read_text())["files"][bundle.files.final]
    packed = table.read(bundle.place / bundle.files.final, checksum)
    assert list(packed) == list(final)
    for name, values in final.items():
        np.testing.assert_array_equal(packed[name], values)


def test_a_fresh_machine_searches_it(
    bundle: Bundle, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    one = ("--protocol", "digits", "--benchmarks", bundle.name, "--methods", "regularized_evolution", "--seeds", 2)
    done = command(*one, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert registry.benchmark(bundle.name).availability().text.startswith("bundled, 1")
    (report,) = (tmp_path / "out").glob("*/table.md")
    assert f"{bundle.name}, {SEEDS[bundle.name]}" in report.read_text()
