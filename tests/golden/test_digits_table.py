"""The bundled tables trained on digits are complete and small, and a fresh machine searches them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bundled.bundle import Bundle
from benchmarks.nb1shot1 import digits_bundle as nb1shot1
from benchmarks.nb201 import digits_bundle as nb201
from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.table import Records
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
    records, space = Records(nb201.BUNDLE.open()), NB201Space()
    first: dict[str, int] = {}
    for index, arch in enumerate(official_order()):
        first.setdefault(space.canonical(arch), index)
    for recipe in (12, 36):
        trained = [records.get("digits", recipe, seed, "x-test", "accuracy") for seed in records.seeds("digits", recipe)]
        counts = (~np.isnan(np.stack([column for column in trained if column is not None]))).sum(axis=0)[list(first.values())]
        assert np.bincount(counts).tolist() == [0, 0, 0, 6466 - 647, 0, 647]


def test_every_cell_of_space_1_has_three_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    table = nb1shot1.BUNDLE.open()
    for recipe in (12, 36):
        for split, images in (("valid", 384), ("test", 389)):
            counts = table.column(f"{split}/{recipe}")
            assert counts.shape == (2685, 3)
            assert counts.min() >= 0 and counts.max() <= images * 8


def test_it_is_small(bundle: Bundle) -> None:
    sizes = [path.stat().st_size for path in bundle.place.glob(f"{bundle.files.prefix}*")]
    assert len(sizes) == 4
    assert max(sizes) <= 1_500_000
    assert sum(sizes) < 4_000_000


DIGESTS = {"nb201/digits": "8c4051c95703fe0b", "nb1shot1/1-digits": "7219dc3afc739b57"}
CHECKSUMS = {
    "nb201/digits": "00bd9415de03658d88f63818eb13725366ee286270f0dcd6eadd87da5b313615",
    "nb1shot1/1-digits": "b75802c30121a1746287df64ea174b0af85b5db77f3d75203797c5cc37e262e2",
}
"""SHA-256 of the manifests, which contain the checksums of the other files."""


def test_its_settings_and_bytes_are_those_of_the_first_release(bundle: Bundle) -> None:
    manifest = (bundle.place / bundle.files.manifest).read_bytes()
    assert bundle.digest == json.loads(manifest)["digest"] == DIGESTS[bundle.name]
    assert hashlib.sha256(manifest).hexdigest() == CHECKSUMS[bundle.name]
    for name, checksum in json.loads(manifest)["files"].items():
        assert hashlib.sha256((bundle.place / name).read_bytes()).hexdigest() == checksum


@pytest.mark.slow
def test_a_fresh_machine_searches_it(
    bundle: Bundle, command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    search = ("--protocol", "digits", "--benchmarks", bundle.name, "--methods", "regularized_evolution", "--seeds", 2)
    done = command(*search, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert registry.benchmark(bundle.name).availability().text.startswith("bundled, 1")
    (report,) = (tmp_path / "out").glob("*/table.md")
    assert f"{bundle.name}, {SEEDS[bundle.name]}" in report.read_text()


def test_the_floor_of_a_random_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over all cells is what ``random_cell`` expects, that over cells without ``none`` what its variant expects."""
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    rules = {"recipe": 36, "records": {"digits": "x-test"}}
    judge = registry.benchmark("nb201/digits").open({"recipe": 12}, rules).judge
    cells = np.array(official_order())
    accuracies = np.array([judge.score(arch, 1)["digits"]["test"] for arch in official_order()])
    assert (accuracies.mean(), float(np.median(accuracies))) == pytest.approx((68.63, 88.99), abs=0.01)
    assert accuracies[(cells > 0).all(axis=1)].mean() == pytest.approx(81.46, abs=0.01)
