"""The bundled table of nb201/digits is the one that its shards say, of every cell, and small."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201 import digits_bundle
from benchmarks.nb201.digits_table import FILES
from benchmarks.nb201.table import Records
from benchmarks.nb201.unique import representatives
from benchmarks.training import table
from benchmarks.training.build import Folder

MANIFEST = digits_bundle.BUNDLE.place / FILES.manifest
SHARDS = Path(digits_bundle.__file__).parent / "digits_shards"

pytestmark = pytest.mark.skipif(not MANIFEST.is_file(), reason="the table of nb201/digits is not built yet")


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    return Records(digits_bundle.BUNDLE.open())


def test_every_cell_has_three_seeds_and_the_best_tenth_five(records: Records) -> None:
    for recipe in (12, 36):
        trained = [records.get("digits", recipe, seed, "x-test", "accuracy") for seed in records.seeds("digits", recipe)]
        counts = (~np.isnan(np.stack([one for one in trained if one is not None]))).sum(axis=0)[list(representatives())]
        assert np.bincount(counts).tolist() == [0, 0, 0, 6466 - 647, 0, 647]


def test_it_is_small() -> None:
    sizes = [path.stat().st_size for path in digits_bundle.BUNDLE.place.glob("digits*")]
    assert len(sizes) == 4
    assert max(sizes) <= table.LIMIT
    assert sum(sizes) < 4_000_000


def test_it_is_made_of_the_shards_that_lie_beside_it() -> None:
    if not SHARDS.is_dir():
        pytest.skip("the shards are not in this copy")
    final, _ = table.records(Folder(SHARDS))
    checksum = json.loads(MANIFEST.read_text())["files"][FILES.final]
    packed = table.read(digits_bundle.BUNDLE.place / FILES.final, checksum)
    assert list(packed) == list(final)
    for name, values in final.items():
        np.testing.assert_array_equal(packed[name], values)


def test_a_fresh_machine_searches_it(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    done = command("--protocol", "digits", "--methods", "regularized_evolution", "--seeds", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "bundled, 15 625 architectures, 3 to 5 seeds" in command("--list").stdout
    table = (tmp_path / "out" / "digits" / "table.md").read_text()
    assert "nb201/digits, 3 to 5 seeds" in table
