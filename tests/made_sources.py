"""Small files in the official layouts of NAS-Bench-201 and NATS-Bench to import, and empty folders to import into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def official_api(path: Path) -> Any:
    """The official package's own view of a file."""
    if path.suffix == ".pth":
        import torch
        from nas_201_api import NASBench201API

        return NASBench201API(torch.load(path, weights_only=False), verbose=False)
    from nats_bench import create

    return create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)


def same(actual: dict[str, float | None], expected: dict[str, float | None], tolerance: float) -> bool:
    """Return whether keys and Nones are equal, and numbers are within a relative tolerance."""
    return actual.keys() == expected.keys() and all(
        value == official if value is None or official is None else abs(value - official) <= tolerance * abs(official)
        for value, official in ((actual[key], expected[key]) for key in expected)
    )
