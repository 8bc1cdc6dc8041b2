"""An unusable source is refused in one clear line, and nothing is imported."""

from __future__ import annotations

import bz2
import contextlib
import errno
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb201 import official
from benchmarks.nb201.library import LIBRARY
from harness.cache import TableWriter, cache_root
from harness.errors import UserError
from tests import official_files
from tests.made_sources import N, few_rows, folders
from tests.unit.test_unpickle import Calls

__all__ = ["few_rows", "folders"]


@contextlib.contextmanager
def refused(message: str) -> Any:
    """Expect one clear line, and an empty cache."""
    with pytest.raises(UserError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert not list(cache_root().rglob("*.npy"))
    assert not list(cache_root().glob("nb201/.*"))


def folder_with(tmp_path: Path, content: bytes) -> Path:
    folder = official_files.nats_folder(tmp_path / "simple", 2, ("12",))
    (folder / "000001.pickle.pbz2").write_bytes(content)
    return folder


BAD_COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "too few rows": ({"n": 100}, "not one row for each"),
    "foreign cell": ({"arch_str": np.array(["|conv~0|", *official_files.ARCHS[1:]])}, "no cell of NAS-Bench-201"),
    "repeated cell": ({"arch_str": np.array([official_files.ARCHS[1], *official_files.ARCHS[1:]])}, "row 0 has index 0 but"),
    "repeated index": ({"index": np.array([1, *range(1, 15625)]), "arch_str": None}, "more than one row"),
    "index outside": ({"index": np.arange(1, 15626), "arch_str": None}, "no index from 0 to 15624"),
    "no number": ({"c10_val12": np.array(["high"] * 15625)}, "c10_val12 has a value that is not a number"),
    "no percentage": ({"c100_val12": np.full(15625, 101.0)}, "is impossible"),
    "cost": ({"c10_cost12_s": np.ones(15625)}, "c10_cost12_s of architecture 0 is 1.000000, but 12 × c10valid_train_s"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_wrong_table_is_refused(case: str, tmp_path: Path) -> None:
    changes, message = BAD_COLUMNS[case]
    plain = {**official_files.plain_columns(changes.get("n", 15625)), **changes}
    plain.pop("n", None)
    np.savez(tmp_path / "t.npz", **{k: v for k, v in plain.items() if v is not None})
    with refused(message):
        LIBRARY.import_path(tmp_path / "t.npz")


def test_a_forbidden_pickle_is_named_with_its_file(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bz2.compress(pickle.dumps({"12": Calls(os.system, "true")})))
    with refused(r"000001.pickle.pbz2: the pickle asks for posix.system, which is not plain data. Nothing was imported."):
        LIBRARY.import_path(folder)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign", "garbled", "other"])
def test_a_damaged_folder(damage: str, tmp_path: Path) -> None:
    good = (official_files.nats_folder(tmp_path / "good", 2, ("12",)) / "000001.pickle.pbz2").read_bytes()
    content = {
        "truncated": good[: len(good) // 2],
        "flipped": good[:900] + bytes([good[900] ^ 4]) + good[901:],
        "empty": b"",
        "foreign": bz2.compress(pickle.dumps({"12": {"weights": 1}})),
        "garbled": bz2.compress(
            pickle.dumps({"12": {"arch_str": official_files.ARCHS[1], "dataset_seed": {"cifar10": [777]}, "all_results": {}}})
        ),
        "other": (tmp_path / "good" / "000000.pickle.pbz2").read_bytes(),
    }[damage]
    message = {
        "foreign": "dataset_seed of its 12-epoch record is None, not a dictionary",
        "other": "is .* but its 12-epoch record is of",
        "garbled": "lists other trainings than it has",
    }.get(damage, "is damaged")
    with refused(f"{message}.*Nothing was imported"):
        LIBRARY.import_path(folder_with(tmp_path, content))


@pytest.mark.parametrize("form", ["legacy.pth", "zip.pth", "single.pickle.pbz2"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.999])
def test_a_truncated_file(form: str, part: float, published: Path, tmp_path: Path) -> None:
    content = (published / form).read_bytes()
    (tmp_path / form).write_bytes(content[: int(len(content) * part)])
    with refused(r"(is damaged|is empty|is not a NAS-Bench-201).*bytes present\). Nothing was imported"):
        LIBRARY.import_path(tmp_path / form)


def test_a_flipped_bit_in_an_archive(published: Path, tmp_path: Path) -> None:
    content = bytearray((published / "zip.pth").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "zip.pth").write_bytes(content)
    with refused("is damaged"):
        LIBRARY.import_path(tmp_path / "zip.pth")


def test_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("hello")
    np.savez(tmp_path / "b.npz", index=np.arange(3))
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"state_dict": 1}))
    (tmp_path / "d.csv").write_text("index,other\n1,2\n")
    for file in ("a.pth", "b.npz", "c.pth", "d.csv"):
        with refused("bytes present.*Nothing was imported"):
            LIBRARY.import_path(tmp_path / file)
    with refused("no NATS-Bench folder"):
        LIBRARY.import_path(tmp_path)
    with refused("does not exist"):
        LIBRARY.import_path(tmp_path / "nothing")


def test_a_published_name_must_have_the_published_checksum(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    path.write_bytes((published / "legacy.pth").read_bytes())
    with refused("is not the published file: its MD5 ends in .*, not 096897"):
        LIBRARY.import_path(path)


@pytest.mark.usefixtures("few_rows")
def test_too_little_memory_is_said_before_reading(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "available_memory", lambda: 1000)
    with refused(r"takes about .* GB of memory \(estimate\).*NATS-tss-v1_0-3ffb9-simple.*--force"):
        LIBRARY.import_path(published / "single.pickle.pbz2")
    LIBRARY.import_path(published / "simple")
    assert LIBRARY.import_path(published / "single.pickle.pbz2", force=True).meta["n"] == N


@pytest.mark.parametrize("method", ["add", "create", "commit"])
def test_a_full_disk_leaves_nothing(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TableWriter, method, full)
    with refused("No space left on device"):
        LIBRARY.import_path(official_files.nats_folder(tmp_path / "simple", 2, ("12",)))
