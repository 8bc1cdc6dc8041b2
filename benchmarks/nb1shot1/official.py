"""Read the files that NAS-Bench-101's authors publish, without TensorFlow.

A record is the JSON list ``[hash, epochs, adjacency, operations, metrics]`` of one training: the matrix as a string of digits,
row by row; the names of the operations, separated by commas, with input and output; a ``ModelMetrics`` message in base64.
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
from benchmarks.nb1shot1.table import EPOCHS, IMAGES, REPEATS, Nb101Writer
from benchmarks.nb1shot1.tfrecord import records
from benchmarks.sources.importing import NOTHING
from benchmarks.sources.values import is_impossible
from harness.cache import sha256
from harness.errors import UserError
from harness.library import Progress
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
    """Return :data:`NB101` if the first record looks like one of NAS-Bench-101, else None."""
    if not is_file(path):
        return None
    with opened(path) as file:
        return NB101 if _START.match(file.read(256)) else None


def read(path: Path, progress: Progress) -> tuple[str, Nb101Writer]:
    """Read the records of cells in the three spaces; skip the others. The file is read once, in the memory of the table.

    Returns:
        The kind of the published file, and the records.

    Raises:
        UserError: a record, named by its number, is damaged or foreign; a cell has more than three trainings; or a file has a
            published name but not the published checksum. The message ends in "Nothing was imported."
    """
    size = path.stat().st_size
    content, collected = Nb101Writer(), 0
    counts: dict[int, npt.NDArray[np.int8]] = {}
    row_of = {key: row for row, key in enumerate(distinct_cells().hashes)}
    checked: set[int] = set()
    number = 0
    try:
        with opened(path) as file:
            numbered = records(file, lambda position: progress(position, size, f"reading {path.name}"))
            for number, data in numbered:
                try:
                    collected += _add(data, row_of, checked, content, counts)
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
    data: bytes, row_of: dict[str, int], checked: set[int], content: Nb101Writer, counts: dict[int, npt.NDArray[np.int8]]
) -> bool:
    """Add one training to ``content`` if its cell is in the spaces.

    Args:
        row_of: the table row of each hash.
        checked: rows whose graph was compared with its hash; updated.
        counts: trainings added so far, for each number of epochs and row; updated.

    Returns:
        Whether the training was added.
    """
    try:
        key, epochs, adjacency, operations, metrics = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        raise UserError("it is no list of hash, epochs, adjacency, operations and metrics") from None
    row = row_of.get(key) if isinstance(key, str) else None
    if row is None:
        return False
    if type(epochs) is not int or epochs not in EPOCHS:
        raise UserError(f"a training of {str(epochs)[:20]} epochs; there are {', '.join(map(str, EPOCHS))}")
    if row not in checked:
        if fingerprint(_cell(adjacency, operations)) != key:
            raise UserError(f"its graph does not have the hash {key}")
        checked.add(row)
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
    content.valid[epochs][row, repeat] = _correct(evaluation.valid)
    content.test[epochs][row, repeat] = _correct(evaluation.test)
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


def _correct(accuracy: float) -> int:
    """Return the correct answers out of 9 984 images that an accuracy in single precision means."""
    images = accuracy * IMAGES
    if not (0 <= images <= IMAGES and abs(images - round(images)) < 0.01):
        raise UserError(f"an accuracy of {accuracy}, which is no share of {IMAGES:,} images")
    return round(images)


def _check_published(path: Path, size: int) -> None:
    expected = PUBLISHED_SHA256.get(path.name)
    if expected is not None and (actual := sha256(path)) != expected:
        raise UserError(
            f"{path} is not the published file: its SHA-256 begins with {actual[:12]}, not {expected[:12]} ({size:,} bytes "
            f"present); get it again, or rename the file that you want to import. {NOTHING}"
        )
