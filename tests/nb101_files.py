"""Write files in the layouts of NAS-Bench-101's authors, with generated values, and small tables of plain columns."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.nb1shot1.cell import OPS, Cell, prune
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.space import NB1Shot1Space

CHAIN = prune([[0, 1, 0], [0, 0, 1], [0] * 3], [0])
"""A cell outside the three spaces: its output has one parent."""


class Training(NamedTuple):
    """A record; ``valid`` and ``test`` are correct counts out of 9 984 images."""

    key: str
    cell: Cell
    epochs: int
    valid: int
    test: int
    seconds: float


def trainings(rows: Iterable[int], epochs: Iterable[int] = (108,), repeats: int = 3, seed: int = 0) -> list[Training]:
    """Return generated trainings of the distinct cells in these rows, shuffled as the published files may be."""
    rng = random.Random(seed)
    cells = distinct_cells()
    result = [
        Training(
            cells.hashes[row],
            cells.cells[row],
            length,
            rng.randrange(9_985),
            rng.randrange(9_985),
            rng.uniform(5, 50) * length,
        )
        for row in rows
        for length in epochs
        for _ in range(repeats)
    ]
    rng.shuffle(result)
    return result


def rows_of(number: int, topologies: Iterable[int]) -> list[int]:
    """The distinct cells of a space's topologies."""
    space = NB1Shot1Space(number)
    rows = distinct_cells().rows[number].reshape(space.topologies, space.assignments)
    return sorted({int(row) for topology in topologies for row in rows[topology]})


def record_file(path: Path, trained: Iterable[Training | bytes]) -> Path:
    """Write a record file. Bytes are written unchanged as the data of a record."""
    with path.open("wb") as file:
        for training in trained:
            file.write(record(training if isinstance(training, bytes) else content(training)))
    return path


def content(training: Training, **changes: Any) -> bytes:
    """A record's data; ``changes`` replace ``hash``, ``epochs``, ``adjacency``, ``operations`` or ``metrics``."""
    fields = {
        "hash": training.key,
        "epochs": training.epochs,
        "adjacency": "".join(str(edge) for row in training.cell.matrix for edge in row),
        "operations": ",".join(["input", *(OPS[op] for op in training.cell.ops), "output"]),
        "metrics": base64.b64encode(metrics(training)).decode(),
    }
    return json.dumps(list({**fields, **changes}.values())).encode()


def metrics(training: Training, evaluations: int = 3) -> bytes:
    """Return a ``ModelMetrics`` message; earlier evaluations have other values than the last."""
    message = b""
    for at in range(1, evaluations + 1):
        share = at / evaluations
        values = {
            1: training.epochs * share,
            2: training.seconds * share,
            3: 0.5 * share,
            4: float(np.float32(training.valid / 9_984 * share)),
            5: float(np.float32(training.test / 9_984 * share)),
        }
        evaluation = b"".join(bytes([number << 3 | 1]) + struct.pack("<d", value) for number, value in values.items())
        evaluation += b"\x32\x05model"
        message += b"\x0a" + varint(len(evaluation)) + evaluation
    return message + b"\x10" + varint(8_555_530) + b"\x19" + struct.pack("<d", training.seconds * 1.2)


def record(data: bytes) -> bytes:
    """Length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """TensorFlow's masked CRC-32C, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def columns_table(folder: Path, trained: Iterable[Training], drop: Iterable[str] = (), **changes: Any) -> Path:
    """Write plain columns of the trainings, and recorded times of some cells in the same folder.

    Args:
        drop: columns to leave out.
        changes: ``column=(row, value)``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, dict[str, Any]] = {}
    seen: dict[tuple[str, int], int] = {}
    for training in trained:
        row = columns.setdefault(training.key, _graph(training.key, training.cell))
        repeat = seen[training.key, training.epochs] = seen.get((training.key, training.epochs), -1) + 1
        row[f"val_correct_{training.epochs}ep_r{repeat}"] = training.valid
        row[f"test_correct_{training.epochs}ep_r{repeat}"] = training.test
    rows = list(columns.values())
    for column, (row, value) in changes.items():
        rows[row][column] = value
    _write(folder / "cells.parquet", [{k: v for k, v in row.items() if k not in set(drop)} for row in rows])
    times_table(folder)
    return folder / "cells.parquet"


def times_table(folder: Path, cells: int = 60) -> Path:
    """Recorded times of some cells: half the parameters' millions in minutes, and a second per vertex."""
    from benchmarks.nb1shot1.size import network_size

    distinct = distinct_cells()
    rows = [
        {
            **_graph(distinct.hashes[at], distinct.cells[at]),
            "train_time_108ep_s": 1000 + 1e-4 * network_size(distinct.cells[at])[0] + 30.0 * len(distinct.cells[at].ops),
        }
        for at in range(0, len(distinct.hashes), len(distinct.hashes) // cells)
    ]
    _write(folder / "nb101_train_time_sample.parquet", rows)
    return folder / "nb101_train_time_sample.parquet"


def _graph(key: str, cell: Cell) -> dict[str, Any]:
    return {
        "hash": key,
        "n_vertices": len(cell.matrix),
        "adjacency_rowmajor": "".join(str(edge) for row in cell.matrix for edge in row),
        "ops_inner": "".join(map(str, cell.ops)),
    }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    names = dict.fromkeys(name for row in rows for name in row)
    pyarrow.parquet.write_table(pyarrow.table({name: [row.get(name) for row in rows] for name in names}), path)


def flipped(path: Path, at: int, to: Path) -> Path:
    """Write a copy with one bit changed."""
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0x10
    to.write_bytes(damaged)
    return to


def offsets(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the start of each record and the start of the next record."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        yield at, at + 16 + length
        at += 16 + length
