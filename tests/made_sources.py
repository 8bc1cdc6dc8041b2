"""Small files in the official layouts of NAS-Bench-201 and NATS-Bench to import, and empty folders to import into."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.nb201 import records
from tests import official_files

N = 13


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make tables with only the rows of the small files: 15 625 rows of curves take a gigabyte."""
    monkeypatch.setattr(records, "SIZE", N + 3)


def write(folder: Path) -> Path:
    """Return a folder with every published form of a table, each with ``N`` architectures."""
    official_files.nas_bench_201(folder / "legacy.pth", N, legacy=True)
    official_files.nas_bench_201(folder / "zip.pth", N, legacy=False)
    official_files.nas_bench_201(folder / "v10.pth", N, legacy=True, version="1.0")
    official_files.nats_folder(folder / "simple", N)
    official_files.nats_file(folder / "single.pickle.pbz2", N)
    return folder
