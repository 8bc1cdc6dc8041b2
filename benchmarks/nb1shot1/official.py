"""The files that NAS-Bench-101's authors publish, read without TensorFlow.

A record is the JSON list ``[hash, epochs, adjacency, operations, metrics]`` of one training: the matrix as a string of digits,
row by row; the operations' names, separated by commas, input and output among them; a ``ModelMetrics`` message in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import MAX_VERTICES, OPS, Cell, InvalidCell, prune
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.metrics import final_evaluation
from benchmarks.nb1shot1.table import EPOCHS, IMAGES, REPEATS, Records
from benchmarks.nb1shot1.tfrecord import records
from benchmarks.tables.importing import NOTHING, Progress
from benchmarks.tables.values import is_impossible
from harness.cache import sha256
from harness.errors import UserError
from harness.look import is_file, opened

NB101 = "NAS-Bench-101"
FULL = "NAS-Bench-101, all epochs"
ONLY108 = "NAS-Bench-101, 108 epochs"

PUBLISHED_SHA256 = {
    "nasbench_full.tfrecord": "3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
    "nasbench_only108.tfrecord": "4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
}

_START = re.compile(rb'.{12}\["[0-9a-f]{32}", ?\d+, ?"[01]+", ?"input', re.DOTALL)


def sniff(path: Path) -> str | None:
    """:data:`NB101` where the first record looks like one of the benchmark's, or None."""
    if not is_file(path):
        return None
    with opened(path) as file:
        return NB101 if _START.match(file.read(256)) else None


def read(path: Path, progress: Progress) -> tuple[str, Records]:
    """Which of the published files it is, and its records of the cells that the three spaces reach; others are passed over.

    The file is read once, in the memory that the table takes.

    Raises:
        UserError: a damaged or foreign record, by its number; more than three trainings; or a file that has a published name
            and not the published checksum. It ends in "Nothing was imported."
    """
    size = path.stat().st_size
    content, collected = Records(), 0
    counts: dict[int, npt.NDArray[np.int8]] = {}
    row_of = {key: row for row, key in enumerate(distinct_cells().hashes)}
    seen: set[int] = set()
    number = 0
    try:
        with opened(path) as file:
            found = records(file, lambda position: progress(position, size, f"reading {path.name}"))
            for number, data in found:
                try:
                    collected += _add(data, row_of, seen, content, counts)
                except UserError as error:
                    raise UserError(f"record {number:,}: {error}") from None
    except UserError as error:
        raise UserError(f"{path} is damaged: {error} ({size:,} bytes present). {NOTHING}") from None
    _check_published(path, size)
    if not collected:
        raise UserError(f"{path} has no records of cells of the three spaces. {NOTHING}")
    content.notes.append(f"{number:,} records, {collected:,} of them of cells of the three spaces")
    return FULL if set(content.valid) == set(EPOCHS) else ONLY108, content


def _add(
    data: bytes, row_of: dict[str, int], seen: set[int], content: Records, counts: dict[int, npt.NDArray[np.int8]]
) -> bool:
    """Adds one training; whether it is of a cell that the spaces reach."""
    try:
        key, epochs, adjacency, operations, metrics = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        raise UserError("it is no list of hash, epochs, adjacency, operations and metrics") from None
    row = row_of.get(key) if isinstance(key, str) else None
    if row is None:
        return False
    if type(epochs) is not int or epochs not in EPOCHS:
        raise UserError(f"a training of {str(epochs)[:20]} epochs; there are {', '.join(map(str, EPOCHS))}")
    if row not in seen:
        if fingerprint(_cell(adjacency, operations)) != key:
            raise UserError(f"its graph does not have the hash {key}")
        seen.add(row)
    if epochs not in counts:
        content.add_epochs(epochs)
        counts[epochs] = np.zeros(len(row_of), np.int8)
    repeat = int(counts[epochs][row])
    if repeat == REPEATS:
        raise UserError(f"training number {repeat + 1} of {key} with {epochs} epochs; there are {REPEATS}")
    try:
        evaluation = final_evaluation(base64.b64decode(metrics, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise UserError("its metrics are no base64") from None
    if is_impossible(evaluation.seconds, "seconds") or not evaluation.seconds > 0:
        raise UserError(f"a training time of {evaluation.seconds} seconds")
    content.valid[epochs][row, repeat] = _right(evaluation.valid)
    content.test[epochs][row, repeat] = _right(evaluation.test)
    content.seconds[epochs][row, repeat] = evaluation.seconds
    counts[epochs][row] += 1
    return True


def _cell(adjacency: Any, operations: Any) -> Cell:
    try:
        names = operations.split(",")
        size = len(names)
        if size > MAX_VERTICES:
            raise InvalidCell(f"{size} operations; there may be {MAX_VERTICES}")
        digits = [int(digit) for digit in adjacency]
        if len(digits) != size * size or (names[0], names[-1]) != ("input", "output"):
            raise InvalidCell(
                f"{len(digits)} digits and {size} operations {operations[:100]!r} are no cell from input to output"
            )
        return prune([digits[at : at + size] for at in range(0, size * size, size)], [OPS.index(op) for op in names[1:-1]])
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(str(error)) from None


def _right(accuracy: float) -> int:
    """How many of the 9 984 images an accuracy stands for; recorded in single precision."""
    images = accuracy * IMAGES
    if not (0 <= images <= IMAGES and abs(images - round(images)) < 0.01):
        raise UserError(f"an accuracy of {accuracy}, which is no share of {IMAGES:,} images")
    return round(images)


def _check_published(path: Path, size: int) -> None:
    expected = PUBLISHED_SHA256.get(path.name)
    if expected is not None and (found := sha256(path)) != expected:
        raise UserError(
            f"{path} is not the published file: its SHA-256 begins with {found[:12]}, not {expected[:12]} ({size:,} bytes "
            f"present); get it again, or give what you mean to import another name. {NOTHING}"
        )
