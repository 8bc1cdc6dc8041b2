from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from harness.cache import Table, TableWriter, atomic, cache_root, data_roots, explain
from harness.errors import UserError


def table(path: Path, **columns: np.ndarray) -> Table:
    with TableWriter(path) as writer:
        for name, values in (columns or {"a/b": np.arange(5.0), "c": np.ones(3)}).items():
            writer.add(name, values)
        return writer.commit({"kind": "test"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = table(tmp_path / "t")
    assert written.columns == ["a/b", "c"]
    assert written.column("a/b").tolist() == [0, 1, 2, 3, 4]
    assert "c" in written and "d" not in written
    assert written.meta["kind"] == "test"
    with pytest.raises(ValueError, match="read-only"):
        written.column("c")[0] = 2


def test_columns_may_be_filled_on_disk(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t") as writer:
        column = writer.create("x", (4, 2), np.float32)
        column[:] = 3
        column.flush()
        written = writer.commit({})
    assert written.column("x").tolist() == [[3, 3]] * 4
    written.verify()


def test_the_checksum_is_that_of_the_content(tmp_path: Path) -> None:
    first, same, changed = table(tmp_path / "1"), table(tmp_path / "2"), table(tmp_path / "3", c=np.ones(3))
    assert first.checksum == same.checksum != changed.checksum


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_column_is_named_before_it_is_used(tmp_path: Path, damage: str) -> None:
    written = table(tmp_path / "t")
    file = tmp_path / "t" / "a" / "b.npy"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[-3] ^= 1
        file.write_bytes(data)
    elif damage == "truncate":
        file.write_bytes(data[:-8])
    else:
        file.unlink()
    assert written.column("c").tolist() == [1, 1, 1]
    for use in (lambda: written.column("a/b"), written.verify):
        with pytest.raises(UserError, match=r"damaged: column a/b"):
            use()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99, "columns": {}}', "\x00"])
def test_a_damaged_description_is_one_clear_line(tmp_path: Path, text: str) -> None:
    table(tmp_path / "t")
    (tmp_path / "t" / "meta.json").write_text(text)
    with pytest.raises(UserError, match=r"damaged|format 99"):
        Table(tmp_path / "t")


def test_a_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"), TableWriter(tmp_path / "t") as writer:
        writer.add("a", np.ones(3))
        raise OSError(errno.ENOSPC, "No space left on device")
    with TableWriter(tmp_path / "u") as writer:
        writer.add("a", np.ones(3))  # never committed
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_replaced_whole(tmp_path: Path) -> None:
    table(tmp_path / "t")
    table(tmp_path / "t", z=np.zeros(2))
    assert Table(tmp_path / "t").columns == ["z"]
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_an_atomic_file_is_old_or_new(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "f.txt"
    with atomic(file) as temporary:
        temporary.write_text("one")
    with pytest.raises(RuntimeError), atomic(file) as temporary:
        temporary.write_text("half of tw")
        raise RuntimeError
    assert file.read_text() == "one"
    assert len(list(file.parent.iterdir())) == 1


def test_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_DATA", f"{tmp_path}/a:{tmp_path}/b:")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "c"))
    assert data_roots() == [tmp_path / "a", tmp_path / "b"]
    assert cache_root() == tmp_path / "c"
    monkeypatch.delenv("NAS_DATA")
    monkeypatch.setenv("NAS_CACHE", "")
    assert data_roots() == []
    assert cache_root() == Path.home() / ".cache" / "nas-harness"


def test_an_operating_systems_refusal_is_one_line() -> None:
    error = explain(OSError(errno.ENOSPC, "No space left on device", "/x/y"), "write the report")
    assert str(error) == "cannot write the report: /x/y No space left on device"


def test_meta_is_plain_json(tmp_path: Path) -> None:
    table(tmp_path / "t")
    assert set(json.loads((tmp_path / "t" / "meta.json").read_text())) == {"format", "kind", "columns"}
