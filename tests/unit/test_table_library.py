"""The choice of a source, repeated imports, and the provenance in a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201.library import LIBRARY, NB201Library
from harness.errors import UserError
from tests import official_files
from tests.made_sources import N, few_rows, folders

__all__ = ["few_rows", "folders"]


def test_importing_again_does_nothing_and_says_so(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz")
    lines: list[str] = []
    first = LIBRARY.import_path(path)
    written = (first.path / "meta.json").stat().st_mtime_ns
    assert LIBRARY.import_path(path, lambda done, total, text: lines.append(text)).path == first.path
    assert lines == ["already imported, nothing to do"]
    path.rename(tmp_path / "moved.npz")
    LIBRARY.import_path(tmp_path / "moved.npz", lambda done, total, text: lines.append(text))
    assert lines[-1] == "already imported under another name, nothing to do"
    assert (first.path / "meta.json").stat().st_mtime_ns == written
    LIBRARY.import_path(tmp_path / "moved.npz", force=True)
    assert (first.path / "meta.json").stat().st_mtime_ns != written


def test_a_damaged_table_is_imported_again(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "t.npz")
    table = LIBRARY.import_path(path)
    (table.path / "cifar10/12/mean/ori-test/accuracy.npy").write_bytes(b"x")
    assert [line.split(":")[0] for line in LIBRARY.verify()] == ["damaged"]
    LIBRARY.import_path(path).verify()
    assert [line.split(":")[0] for line in LIBRARY.verify()] == ["intact"]


@pytest.mark.usefixtures("few_rows")
def test_the_richest_source_is_used(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NB201Library, "size", N)
    assert LIBRARY.find_table(print) is None
    data = tmp_path / "data"
    lines: list[str] = []
    official_files.columns_table(data / "columns.npz")
    np.savez(data / "nb201_splits.npz", x=np.arange(3))
    for name, kind in (
        ("columns.npz", "plain columns"),
        ("v10.pth", "NAS-Bench-201 v1.0"),
        ("legacy.pth", "NAS-Bench-201 v1.1"),
        ("simple", "NATS-Bench 1.0"),
    ):
        if name != "columns.npz":
            (data / "deep").mkdir(exist_ok=True)
            (data / "deep" / name).symlink_to(published / name)
        lines.clear()
        table = LIBRARY.find_table(lines.append)
        assert table is not None and table.meta["kind"] == kind
        assert lines[-1].startswith(f"importing {name} ({kind}) … ")
        lines.clear()
        again = LIBRARY.find_table(lines.append)
        assert again is not None and again.path == table.path and not lines
    assert [state.text.split(",")[0] for state in LIBRARY.state()] == [
        "NATS-Bench 1.0",
        "NAS-Bench-201 v1.1",
        "NAS-Bench-201 v1.0",
        "plain columns",
    ]


def test_an_unusable_source_is_passed_over_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NB201Library, "size", 1)
    folder = official_files.nats_folder(tmp_path / "data" / "simple", 1, ("12",))
    (folder / "000000.pickle.pbz2").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        LIBRARY.find_table(print)
    official_files.columns_table(tmp_path / "data" / "columns.npz")
    lines: list[str] = []
    table = LIBRARY.find_table(lines.append)
    assert table is not None and table.meta["kind"] == "plain columns"
    assert any(line.startswith("passing over simple: ") and "000000.pickle.pbz2 is damaged" in line for line in lines)


def test_a_changed_source_is_imported_again(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "data" / "t.npz")
    first = LIBRARY.find_table(print)
    official_files.columns_table(path, c10_val12=np.full(15625, 50.0))
    second = LIBRARY.find_table(print)
    assert first is not None and second is not None and first.checksum != second.checksum


def test_a_table_outlives_its_source(tmp_path: Path) -> None:
    path = official_files.columns_table(tmp_path / "data" / "t.npz")
    first = LIBRARY.find_table(print)
    path.unlink()
    second = LIBRARY.find_table(print)
    assert first is not None and second is not None and first.path == second.path


def test_finding_an_imported_table_imports_no_reader(tmp_path: Path) -> None:
    import subprocess

    official_files.columns_table(tmp_path / "data" / "t.parquet")
    LIBRARY.find_table(print)
    code = (
        "import sys; from benchmarks.nb201.library import LIBRARY; assert LIBRARY.find_table(print) is not None;"
        "print(sorted({'pandas', 'pyarrow', 'torch', 'nas_201_api', 'nats_bench'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"


def test_provenance_is_recorded(tmp_path: Path) -> None:
    table = LIBRARY.import_path(official_files.columns_table(tmp_path / "t.csv"))
    meta = json.loads((table.path / "meta.json").read_text())
    assert meta["kind"] == "plain columns" and meta["source"]["file"] == "t.csv" and meta["n"] == 15625
    assert table.path.name == f"plain-columns-{meta['source']['sha256'][:12]}"
    assert meta["imported_at"].endswith("+00:00") and meta["import_seconds"] >= 0
