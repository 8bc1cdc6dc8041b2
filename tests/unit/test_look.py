"""Examining a folder never fails, never blocks, and reads a bounded amount. Files that cannot be examined are named."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.feature_maps.library import LIBRARY as imdb
from benchmarks.images.library import LIBRARY as images
from benchmarks.nb1shot1.library import LIBRARY as nb101
from benchmarks.nb201.library import LIBRARY as nb201
from harness import data as command
from harness.cache import Table
from harness.look import Bounded, look, odd, opened
from tests import official_files
from tests.hostile_files import encrypted, unknown_method, zipped
from tests.made_sources import folders

__all__ = ["folders"]

LIBRARIES = (nb201, nb101, imdb, images)
ROOT = Path(__file__).parents[2]
MEMBERS = {"index.npy": b"\x93NUMPY" + b"x" * 2000, "header.npy": b"y" * 500}


def corrupt(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[45:60] = b"\xff" * 15
    path.write_bytes(raw)


def large(path: Path) -> None:
    """Write a gzip stream of a few kilobytes that unpacks to 64 MB without a newline."""
    path.write_bytes(gzip.compress(b"x" * (64 << 20), 1))


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name(".pipe"))
    path.symlink_to(".pipe")


ODD: dict[str, Callable[[Path], object]] = {
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a pipe": link_to_a_pipe,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "an encrypted archive": lambda path: encrypted(zipped(path, {**MEMBERS, "x/data.pkl": b"x" * 99})),
    "an archive by an unknown method": lambda path: unknown_method(zipped(path, {**MEMBERS, "x/data.pkl": b"x" * 99})),
    "a corrupt archive": lambda path: corrupt(zipped(path, {"x/data.pkl": b"x" * 9999}, packed=True)),
    "a directory that is none": lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18),
    "deep JSON": lambda path: path.write_bytes(b"[" * 200_000),
    "a large stream": large,
    "a gzip that is none": lambda path: path.write_bytes(b"\x1f\x8b" + b"x" * 100),
    "a bzip2 that is none": lambda path: path.write_bytes(b"BZh9" + b"x" * 100),
    "an xz that is none": lambda path: path.write_bytes(b"\xfd7zXZ\0" + b"x" * 100),
    "a Parquet file that is none": lambda path: path.write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1"),
    "a long footer": lambda path: path.write_bytes(b"PAR1" + b"x" * 100 + b"\xff\xff\xff\x7fPAR1"),
    "an empty file": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(b"\0" * 100_000),
    "a folder": lambda path: path.mkdir(),
}
NAMES = (
    "x.pth",
    "x.pbz2",
    "x.csv",
    "x.npz",
    "x.parquet",
    "x.tfrecord",
    "x.jsonl",
    "x.jsonl.gz",
    "x.tar.gz",
    "x.tgz",
    "x.csv.gz",
)


@pytest.mark.parametrize("case", ODD)
def test_an_odd_file_stops_no_look(case: str, tmp_path: Path) -> None:
    home = tmp_path / "data"
    for name in NAMES:
        if case == "a link to a pipe":
            (home / ".pipe").unlink(missing_ok=True)
        ODD[case](home / name)
    official_files.columns_table(home / "good.npz")
    tracemalloc.start()
    for library in LIBRARIES:
        library.state()
        library.passed_over()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    assert [state.source for state in nb201.state()] == [home / "good.npz"]
    for library in LIBRARIES:
        for name in NAMES:
            assert library.recognise(home / name) is None
            assert library.unrecognised(home / name).isprintable()


@pytest.mark.parametrize("case", [case for case in ODD if case not in ("a folder", "zeros", "an empty file", "a large stream")])
def test_status_names_an_odd_file_and_goes_on(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "data"
    name = {"deep JSON": "x.jsonl", "a Parquet file that is none": "x.parquet", "a long footer": "x.parquet"}.get(case, "x.npz")
    name = "x.tar.gz" if " that is none" in case and name == "x.npz" else name
    ODD[case](home / name)
    official_files.columns_table(home / "good.npz")
    command.status()
    out = capsys.readouterr().out
    assert f"not ours: {home / name} (" in out
    assert "plain columns, found, imported on first use" in out


def test_a_name_that_is_no_text_is_printed_with_escapes(tmp_path: Path) -> None:
    home = tmp_path / "data"
    bad = os.fsdecode(os.fsencode(home) + b"/b\xffd")
    os.mkdir(bad)
    official_files.columns_table(Path(bad) / "columns.npz")
    os.mkfifo(Path(bad) / os.fsdecode(b"\xfe.csv"))
    for arguments in (["-m", "harness.data", "status"], ["-m", "harness.run", "--list"]):
        for encoding in ("utf-8", "ascii"):
            environment = {**os.environ, "NAS_DATA": os.pathsep.join([str(home), bad]), "PYTHONIOENCODING": encoding}
            environment["PYTHONIOENCODING"] = encoding if "status" in arguments else "utf-8"
            done = subprocess.run([sys.executable, *arguments], capture_output=True, env=environment, cwd=ROOT, timeout=120)
            assert done.returncode == 0, done.stderr
            assert b"Traceback" not in done.stderr
    table = nb201.find_table(print)
    assert table is not None and table.meta["source"]["path"].endswith(r"b\xffd/columns.npz")


def test_a_folder_without_permission_is_passed_by(tmp_path: Path) -> None:
    home = tmp_path / "data"
    (home / "closed").mkdir(mode=0)
    official_files.columns_table(home / "good.npz")
    assert len(nb201.state()) == 1


@given(content=st.binary(max_size=200), magic=st.sampled_from(["", "PAR1", "PK\x03\x04", "BZh9", "PK\x05\x06", "\x1f\x8b\x08"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_stops_a_look(content: bytes, magic: str, tmp_path: Path) -> None:
    for name in NAMES:
        path = tmp_path / name
        path.write_bytes(magic.encode("latin-1") + content)
        for library in LIBRARIES:
            library.recognise(path)
            assert library.unrecognised(path).isprintable()


def test_a_reader_counts_what_it_gives(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 100)
    with Bounded(opened(tmp_path / "x"), 60) as file:
        assert file.read(50) == b"x" * 50
        with pytest.raises(OSError, match="has more than 60 bytes"):
            file.read()
    assert odd(tmp_path / "y") == "does not exist"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        opened(tmp_path / "y")
    assert look(tmp_path / "x", lambda path: str(1 / 0)).why == "division by zero"


META: dict[str, dict[str, object]] = {
    "columns are nothing": {"columns": None},
    "columns are a list": {"columns": ["a"]},
    "columns of numbers": {"columns": {"a": 1}},
    "no number of architectures": {"n": None},
    "the number is a text": {"n": "many"},
    "an unknown kind": {"kind": "magic"},
    "the kind is a list": {"kind": ["x"]},
    "no date": {"imported_at": 7},
    "no source": {"source": "x"},
    "no seconds": {"import_seconds": None},
    "another format": {"format": [1]},
}


@pytest.mark.parametrize("case", META)
def test_a_damaged_description_is_named_and_imported_again(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = official_files.columns_table(tmp_path / "data" / "t.npz")
    table = nb201.import_path(path)
    meta = table.path / "meta.json"
    meta.write_text(json.dumps({**table.meta, **META[case]}))
    command.status()
    out = capsys.readouterr().out
    assert str(table.path) in out and "plain columns, found, imported on first use" in out
    (line,) = nb201.verify()
    assert line.startswith("damaged: ") and str(table.path) in line and "import again" in line
    assert nb201.import_path(path).meta["n"] == 15_625
    assert nb201.verify()[0].startswith("intact")


KILLED = """
import os, sys, numpy
from pathlib import Path
from harness.cache import TableWriter
writer = TableWriter(Path(sys.argv[1]) / "table")
writer.add("x", numpy.ones(1000))
print("written", flush=True)
sys.stdin.read() if sys.argv[2] == "waits" else os.kill(os.getpid(), 9)
"""


def unfinished(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if path.name.startswith(".")]


def test_what_killed_imports_left_is_removed_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "cache" / "nb201"
    for _ in range(3):
        subprocess.run([sys.executable, "-c", KILLED, str(home), "dies"], cwd=ROOT, capture_output=True, timeout=60)
    assert unfinished(home)
    nb201.import_path(official_files.columns_table(tmp_path / "t.npz"))
    assert not unfinished(home)


def test_what_a_living_import_writes_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "cache" / "nb201"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home), "waits"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    (folder,) = unfinished(home)
    old = time.time() - 10 * 24 * 3600
    os.utime(folder, (old, old))
    nb201.import_path(official_files.columns_table(tmp_path / "t.npz"))
    assert unfinished(home) == [folder] and (folder / "x.npy").exists()
    process.kill()
    process.communicate()
    nb201.import_path(official_files.columns_table(tmp_path / "u.npz", c10_val12=np.full(15625, 7.0)))
    assert not unfinished(home)


@pytest.mark.parametrize("mask", [0o077, 0o002, 0o022])
def test_files_get_the_permissions_that_the_umask_allows(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        table: Table = nb201.import_path(official_files.columns_table(tmp_path / "t.npz"))
    finally:
        os.umask(before)
    for path in [table.path, *table.path.rglob("*"), table.path.parent / "sources.json"]:
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path
