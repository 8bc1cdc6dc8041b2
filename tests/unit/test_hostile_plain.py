"""Hostile and malformed tables of plain columns, of NAS-Bench-201 and NAS-Bench-101, through the import that a user calls."""

from __future__ import annotations

import base64
import gzip
import json
import lzma
import os
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb1shot1.library import LIBRARY as nb101
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.table import Records
from tests import nb101_files, official_files
from tests.hostile_files import Calls, encrypted, npy, refused, touch, unknown_method, zipped
from tests.made_sources import folders

__all__ = ["folders"]

SIZE = 15625
CELLS = np.arange(SIZE)
GOOD = np.full(SIZE, 50.0)


def changed(row: int, value: float) -> np.ndarray:
    values = GOOD.copy()
    values[row] = value
    return values


COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "an accuracy of 150 %": ({"c10_val12": changed(4, 150)}, "c10_val12 of architecture 4 is 150.0, which is impossible"),
    "a negative accuracy": ({"c10_val12": changed(4, -1)}, "c10_val12 of architecture 4 is -1.0"),
    "an infinite loss": ({"c10_val12": GOOD, "c10valid_train_loss_12": changed(1, np.inf)}, "of architecture 1 is inf"),
    "a negative time": ({"c10_val12": GOOD, "c10_train_s_per_epoch": changed(2, -3)}, "c10_train_s_per_epoch .* is -3.0"),
    "an infinite time": ({"c10_val12": GOOD, "c100_val_eval_s": changed(2, np.inf)}, "c100_val_eval_s .* is inf"),
    "negative parameters": ({"c10_val12": GOOD, "c10_params_M": changed(2, -3)}, "c10_params_M .* is -3.0"),
    "negative multiply-adds": ({"c10_val12": GOOD, "in16_flops_M": changed(2, -3)}, "in16_flops_M .* is -3.0"),
    "a bad seed": ({"c10_val12": GOOD, "c10_val12_s777": changed(0, 101)}, "c10_val12_s777 .* is 101.0"),
    "no value at all": ({"c10_val12": np.full(SIZE, np.nan)}, "none of the known columns"),
    "texts": ({"c10_val12": np.array(["x"] * SIZE)}, "has a value that is not a number"),
    "an index of texts": ({"index": np.array(["x"] * SIZE), "c10_val12": GOOD}, "index has a value that is not a number"),
    "an index twice": ({"index": np.where(CELLS == 1, 0, CELLS), "c10_val12": GOOD}, "architecture 0 has more than one row"),
    "an index of fractions": ({"index": CELLS + 0.5, "c10_val12": GOOD}, "no index from 0"),
    "an index that is nothing": ({"index": np.where(CELLS == 1, np.nan, CELLS), "c10_val12": GOOD}, "no index from 0"),
    "few rows": ({"index": CELLS[:9], "c10_val12": GOOD[:9]}, "one row for each of 15,625"),
    "many rows": ({"index": np.arange(SIZE + 1), "c10_val12": np.full(SIZE + 1, 5.0)}, "one row for each of 15,625"),
}


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("case", COLUMNS)
def test_impossible_columns(case: str, suffix: str, tmp_path: Path) -> None:
    changes, words = COLUMNS[case]
    columns = {"index": CELLS, **changes}
    path = tmp_path / f"table{suffix}"
    if suffix == ".npz":
        np.savez(path, **columns)
    else:
        import pandas

        pandas.DataFrame(columns).to_parquet(path)
    refused(lambda: LIBRARY.import_path(path), tmp_path, words, named=path)


def column(values: np.ndarray) -> bytes:
    header = f"{{'descr': '{values.dtype.str}', 'fortran_order': False, 'shape': {values.shape}, }}"
    return npy(header, values.tobytes())


def good_archive(path: Path) -> Path:
    np.savez(path, index=CELLS, c10_val12=GOOD)
    return path


ARCHIVES: dict[str, Callable[[Path, Path], object]] = {
    "Python objects": lambda path, home: np.savez(
        path, index=CELLS, c10_val12=np.array([Calls(os.system, touch(home))] * SIZE, dtype=object)
    ),
    "a pickle in place of a column": lambda path, home: zipped(
        path, {"index.npy": column(CELLS), "c10_val12.npy": pickle.dumps(Calls(os.system, touch(home)))}
    ),
    "a header that is code": lambda path, home: zipped(
        path, {"index.npy": column(CELLS), "c10_val12.npy": npy(f"__import__('os').system({touch(home)!r})", b"")}
    ),
    "a shape too large": lambda path, home: zipped(
        path,
        {
            "index.npy": column(CELLS),
            "c10_val12.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }", b"x"),
        },
    ),
    "fewer bytes than it says": lambda path, home: zipped(
        path, {"index.npy": column(CELLS), "c10_val12.npy": column(GOOD)[:-8]}
    ),
    "texts of a gigabyte": lambda path, home: zipped(
        path,
        {
            "index.npy": column(CELLS),
            "c10_val12.npy": npy(f"{{'descr': '<U99999', 'fortran_order': False, 'shape': ({SIZE},), }}", b""),
        },
    ),
    "a matrix": lambda path, home: np.savez(path, index=CELLS, c10_val12=np.ones((SIZE, 2))),
    "encrypted": lambda path, home: encrypted(good_archive(path)),
    "an unknown method": lambda path, home: unknown_method(good_archive(path)),
    "cut short": lambda path, home: path.write_bytes(good_archive(path).read_bytes()[:-300]),
    "a flipped bit": lambda path, home: nb101_files.flipped(good_archive(path), 200_000, path),
    "no archive": lambda path, home: path.write_bytes(b"PK\x03\x04" + b"x" * 100),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_of_columns(case: str, tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    ARCHIVES[case](path, tmp_path)
    refused(lambda: LIBRARY.import_path(path), tmp_path, named=path)


def rows(text: str = "50.0", count: int = SIZE) -> str:
    return "index,c10_val12\n" + "".join(f"{index},{text}\n" for index in range(count))


TEXTS: dict[str, tuple[bytes, str]] = {
    "no UTF-8": (rows().replace("index", "ind\xe9x").encode("latin-1"), "utf-8|known columns"),
    "no UTF-8 in a row": (rows().encode() + b"\xff,1\n", "codec can't decode byte 0xff"),
    "a value too many": (rows().encode() + b"1,2,3,4\n", "is damaged"),
    "another separator": (rows().replace(",", "|").encode(), "its first line is one column.*comma, a semicolon or a tab"),
    "spaces": (rows().replace(",", " ").encode(), "its first line is one column"),
    "a column twice": (b"index,c10_val12,c10_val12\n1,2,3\n", "c10_val12 occurs twice"),
    "no rows": (b"index,c10_val12\n", "one row for each"),
    "NUL bytes": (b"index,c10_val12\n" + b"\0" * 100, "is damaged|one row for each"),
    "a number as a text": (rows("1.0.0").encode(), "not a number"),
    "an endless line": (b"index,c10_val12," + b"x" * (3 << 20), "field larger than field limit"),
    "a gzip cut short": (gzip.compress(rows().encode())[:-500], "is damaged"),
    "a gzip with a wrong checksum": (gzip.compress(rows().encode())[:-8] + b"12345678", "incorrect data check"),
    "an xz cut short": (lzma.compress(rows().encode())[:-50], "is damaged"),
    "a gzip of a gzip": (gzip.compress(gzip.compress(rows().encode())), "known columns"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_tables_of_text(case: str, tmp_path: Path) -> None:
    content, words = TEXTS[case]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    refused(lambda: LIBRARY.import_path(path), tmp_path, words, named=path)


def test_a_table_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.sources import text

    monkeypatch.setattr(text, "MOST", 1 << 20)
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(rows("50.0" + "0" * 100).encode()))
    refused(lambda: LIBRARY.import_path(path), tmp_path, "has more than 1,048,576 bytes", named=path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_text_is_read_in_any_encoding_with_any_delimiter(encoding: str, delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(rows("51.25").replace(",", delimiter).encode(encoding))
    accuracy = Records(LIBRARY.import_path(path)).mean("cifar10-valid", 12, "x-valid", "accuracy")
    assert accuracy is not None and set(accuracy.tolist()) == {51.25}


@pytest.mark.parametrize("name", ["table.csv.gz", "table.tsv", "table.tsv.gz", "table.csv.xz", "table.csv.bz2"])
def test_a_packed_table_is_read_and_found(name: str, tmp_path: Path) -> None:
    import bz2

    text = rows("51.25").replace(",", "\t" if ".tsv" in name else ",").encode()
    packers: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}
    pack = packers.get(name.rpartition(".")[2])
    (tmp_path / "data" / name).write_bytes(pack(text) if pack else text)
    table = LIBRARY.find_table(print)
    assert table is not None and table.meta["source"]["file"] == name


def test_decimal_commas_between_semicolons_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(rows("51,25").replace("index,", "index;").replace(",51", ";51"))
    accuracy = Records(LIBRARY.import_path(path)).mean("cifar10-valid", 12, "x-valid", "accuracy")
    assert accuracy is not None and set(accuracy.tolist()) == {51.25}


def parquet(path: Path, **columns: Any) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


PARQUET: dict[str, tuple[Callable[[Path], object], str]] = {
    "lists": (lambda path: parquet(path, index=CELLS, c10_val12=[[1.0]] * SIZE), "not a number"),
    "structures": (lambda path: parquet(path, index=CELLS, c10_val12=[{"a": 1}] * SIZE), "not a number"),
    "bytes": (lambda path: parquet(path, index=CELLS, c10_val12=[b"x"] * SIZE), "not a number"),
    "cells of bytes": (lambda path: parquet(path, arch_str=[b"x"] * SIZE, c10_val12=GOOD), "no cell of NAS-Bench-201"),
    "cells of two lines": (lambda path: parquet(path, arch_str=["a\nb"] * SIZE, c10_val12=GOOD), "no cell of NAS-Bench-201"),
    "no end": (lambda path: path.write_bytes(parquet(path, index=CELLS, c10_val12=GOOD).read_bytes()[:-5]), "damaged"),
    "a garbled end": (
        lambda path: path.write_bytes(parquet(path, index=CELLS, c10_val12=GOOD).read_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1"),
        "damaged",
    ),
    "magic only": (lambda path: path.write_bytes(b"PAR1"), "damaged"),
    "garbled pages": (
        lambda path: path.write_bytes(
            (raw := parquet(path, index=CELLS, c10_val12=GOOD).read_bytes())[:4] + b"\xff" * 200 + raw[204:]
        ),
        "damaged|no index",
    ),
}


@pytest.mark.parametrize("case", PARQUET)
def test_parquet_files(case: str, tmp_path: Path) -> None:
    write, words = PARQUET[case]
    path = tmp_path / "table.parquet"
    write(path)
    refused(lambda: LIBRARY.import_path(path), tmp_path, words, named=path)


TRAINING = nb101_files.trainings([0])[0]


def message(**changes: Any) -> str:
    return base64.b64encode(nb101_files.metrics(TRAINING._replace(**changes))).decode()


RECORDS: dict[str, tuple[bytes, str]] = {
    "deep JSON": (b"[" * 10_000, "it is no list"),
    "a text of code": (json.dumps("__import__('os').system('x')").encode(), "it is no list"),
    "an object": (b'{"a": 1}', "it is no list"),
    "too few": (b"[1, 2, 3]", "it is no list"),
    "epochs are a list": (nb101_files.content(TRAINING, epochs=[108]), r"a training of \[108\] epochs"),
    "epochs are true": (nb101_files.content(TRAINING, epochs=True), "a training of True epochs"),
    "operations of two lines": (nb101_files.content(TRAINING, operations="input,a\nb,output"), "record 4"),
    "a hundred operations": (nb101_files.content(TRAINING, operations=",".join("a" * 100)), "100 operations; there may be 7"),
    "a matrix of texts": (nb101_files.content(TRAINING, adjacency="x" * 36), "record 4"),
    "a huge matrix": (nb101_files.content(TRAINING, adjacency="0" * 10_000), "are no cell from input to output"),
    "metrics are a list": (nb101_files.content(TRAINING, metrics=[1]), "no base64"),
    "an endless integer": (nb101_files.content(TRAINING, metrics=base64.b64encode(b"\xff" * 99).decode()), "is too long"),
    "an evaluation is a number": (
        nb101_files.content(TRAINING, metrics=base64.b64encode(b"\x08\x01" * 3).decode()),
        "one of its evaluations is no message",
    ),
    "an infinite time": (
        nb101_files.content(TRAINING, metrics=message(seconds=float("inf"))),
        "a training time of inf seconds",
    ),
    "a negative time": (nb101_files.content(TRAINING, metrics=message(seconds=-9.0)), "a training time of -3.0 seconds"),
    "an accuracy above one": (nb101_files.content(TRAINING, metrics=message(valid=30_000)), "no share of 1"),
    "a negative accuracy": (nb101_files.content(TRAINING, metrics=message(test=-5)), "no share of 1"),
    "an accuracy that is no number": (nb101_files.content(TRAINING, metrics=message(valid=float("nan"))), "no share of 1"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records_of_nas_bench_101(case: str, tmp_path: Path) -> None:
    data, words = RECORDS[case]
    path = nb101_files.record_file(tmp_path / "made.tfrecord", [*nb101_files.trainings([4_000]), data])
    line = refused(lambda: nb101.import_path(path), tmp_path, words, named=path)
    assert "record 4" in line


def test_record_files_whose_lengths_are_garbled(tmp_path: Path) -> None:
    good = nb101_files.record_file(tmp_path / "good.tfrecord", nb101_files.trainings([4_000])).read_bytes()
    length = struct.pack("<Q", 1 << 40)
    for name, tail in {
        "long": length + struct.pack("<I", nb101_files.masked(length)) + b"x",
        "wrong": length + b"1234",
        "large": nb101_files.record(b"x" * 20_000),
        "cut": good[:5],
    }.items():
        path = tmp_path / f"{name}.tfrecord"
        path.write_bytes(good + tail)
        refused(partial(nb101.import_path, path), tmp_path, "record 4", named=path)


PLAIN: dict[str, tuple[dict[str, Any], str]] = {
    "a count is negative": ({"val_correct_108ep_r0": (1, -5)}, "of row 1 is -5.0, not 0 to 9984"),
    "a count is infinite": ({"val_correct_108ep_r0": (1, float("inf"))}, "of row 1 is inf"),
    "no vertices": ({"n_vertices": (2, 0)}, "row 2 is not a cell"),
    "a million vertices": ({"n_vertices": (2, 1_000_000)}, "row 2 is not a cell"),
    "a matrix of letters": ({"adjacency_rowmajor": (2, "x" * 36)}, "row 2 is not a cell"),
    "a matrix is missing": ({"adjacency_rowmajor": (2, None)}, "row 2 is not a cell"),
    "operations are missing": ({"ops_inner": (2, None)}, "row 2 is not a cell"),
    "a hash of two lines": ({"hash": (2, "a\nb")}, "does not have the hash"),
    "a hash is missing": ({"hash": (2, None)}, "does not have the hash"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_plain_columns_of_nas_bench_101(case: str, tmp_path: Path) -> None:
    changes, words = PLAIN[case]
    path = nb101_files.columns_table(tmp_path / "plain", nb101_files.trainings([0, 7, 4_000]), **changes)
    refused(lambda: nb101.import_path(path), tmp_path, words, named=path)


def test_plain_columns_of_nas_bench_101_that_are_texts_or_repeated(tmp_path: Path) -> None:
    path = nb101_files.columns_table(tmp_path / "plain", nb101_files.trainings([0, 7]))
    import pandas

    frame = pandas.read_parquet(path)
    twice = pandas.concat([frame, frame[:1]])
    texts = frame.assign(val_correct_108ep_r1="many")
    for changed, words in ((twice, "has more than one row"), (texts, "val_correct_108ep_r1 has a value that is not a number")):
        changed.to_parquet(path)
        refused(lambda: nb101.import_path(path), tmp_path, words, named=path)
    frame.to_parquet(path)
    times = pandas.read_parquet(path.with_name("nb101_train_time_sample.parquet"))
    for value, words in (("soon", "not a number"), (-1.0, "above zero"), (float("inf"), "above zero")):
        times.assign(train_time_108ep_s=value).to_parquet(path.with_name("nb101_train_time_sample.parquet"))
        refused(lambda: nb101.import_path(path), tmp_path, words, named=path.with_name("nb101_train_time_sample.parquet"))


def test_a_good_table_is_imported_after_all_of_this(tmp_path: Path) -> None:
    assert LIBRARY.import_path(official_files.columns_table(tmp_path / "t.npz")).meta["n"] == SIZE
