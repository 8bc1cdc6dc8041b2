"""Read plain columns: a Parquet table with one row per cell; ``docs/data.md`` describes it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nb1shot1 import clock
from benchmarks.nb1shot1.cell import MAX_VERTICES, Cell, InvalidCell, prune
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.table import EPOCHS, IMAGES, REPEATS, Nb101Writer
from benchmarks.sources.importing import NOTHING
from benchmarks.sources.values import impossible
from harness.errors import UserError
from harness.look import peek, reason

PLAIN = "plain columns"
_GRAPH = ("hash", "n_vertices", "adjacency_rowmajor", "ops_inner")
_SECONDS = "train_time_108ep_s"
_ROWS = 500_000


def sniff(path: Path) -> str | None:
    """Return :data:`PLAIN` if ``path`` is a table with the columns of a cell and of its longest training, else None.

    Any exception is possible.
    """
    footer = _footer(path)
    if not all(name.encode() in footer for name in _GRAPH):
        return None  # before importing the reader, which takes longer than the rest of a listing
    names = _names(path)
    return PLAIN if {*_GRAPH, *_trained("val", EPOCHS[-1])} <= names else None


def read(path: Path) -> Nb101Writer:
    """Return the records of the table, with seconds fitted on the recorded times in the same folder.

    Raises:
        UserError: the table is unreadable, has no recorded times, a graph that does not match its hash, repeated cells, or
            impossible counts. The message ends in "Nothing was imported."
    """
    sample = clock.sample_of(path)
    if sample is None:
        raise UserError(f"{path} has no training times; put {clock.SAMPLE} into its folder to fit them. {NOTHING}")
    content = Nb101Writer()
    rows, known = _rows(path)
    names = _names(path)
    for epochs in EPOCHS:
        if not {*_trained("val", epochs), *_trained("test", epochs)} <= names:
            continue
        content.add_epochs(epochs)
        for split, target in (("val", content.valid), ("test", content.test)):
            counts = _counts(path, _trained(split, epochs))
            target[epochs][rows] = counts[known]
    fitted = _fit(sample)
    longest = fitted.seconds(distinct_cells().cells)
    for epochs, seconds in content.seconds.items():
        seconds[:] = longest[:, None] * (epochs / EPOCHS[-1])
    content.clock = {"kind": "fitted", "on": sample.name, **asdict(fitted)}
    content.notes.append(
        f"training seconds are fitted on {fitted.cells:,} recorded times (R2 {fitted.r2:.3f}, median error "
        f"{100 * fitted.median_error:.1f} %)"
    )
    if not known.all():
        content.notes.append(f"skipped {int((~known).sum()):,} cells outside the three spaces")
    return content


def _rows(path: Path) -> tuple[np.ndarray[Any, np.dtype[np.intp]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the table row of every known cell of the file, and a mask of the known cells."""
    row_of = {key: row for row, key in enumerate(distinct_cells().hashes)}
    keys = [key for key, _ in _cells(path, check=True)]
    (key, count), *_ = [*Counter(keys).most_common(1), ("", 0)]
    if count > 1:
        raise UserError(f"{path}: cell {key} has more than one row. {NOTHING}")
    known = np.array([key in row_of for key in keys])
    return np.array([row_of[key] for key in keys if key in row_of], dtype=np.intp), known


def _cells(path: Path, check: bool = False) -> Iterable[tuple[str, Cell]]:
    """Yield hash and graph of every row; compare them if ``check``."""
    table = _load(path, _GRAPH)
    for row, (key, size, adjacency, ops) in enumerate(zip(*(table[column] for column in _GRAPH), strict=True)):
        try:
            if not (type(size) is int and 0 < size <= MAX_VERTICES and len(adjacency) == size * size):
                raise InvalidCell(f"{str(size)[:20]} vertices and {len(adjacency)} digits")
            digits = [int(digit) for digit in adjacency]
            cell = prune([digits[at : at + size] for at in range(0, len(digits), size)], [int(op) for op in ops])
        except (InvalidCell, TypeError, ValueError) as error:
            raise UserError(f"{path}: row {row} is not a cell ({reason(error)}). {NOTHING}") from None
        if check and fingerprint(cell) != key:
            raise UserError(f"{path}: the graph of row {row} does not have the hash {_shown(key)}. {NOTHING}")
        yield key, cell


def _counts(path: Path, columns: list[str]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return the numbers of correctly classified images (rows, repeats); -1 for an empty value."""
    table = _load(path, columns)
    counts = np.stack([_numbers(path, name, table[name]) for name in columns], axis=1)
    wrong = ~(np.isnan(counts) | ((counts >= 0) & (counts <= IMAGES) & (counts == np.floor(counts))))
    if wrong.any():
        row, repeat = np.argwhere(wrong)[0]
        raise UserError(f"{path}: {columns[repeat]} of row {row} is {counts[row, repeat]}, not 0 to {IMAGES}. {NOTHING}")
    return np.nan_to_num(counts, nan=-1).astype(np.int16)


def _fit(sample: Path) -> clock.Clock:
    cells = [cell for _, cell in _cells(sample)]
    seconds = _numbers(sample, _SECONDS, _load(sample, [_SECONDS])[_SECONDS])
    if len(cells) < 10 or not (seconds > 0).all() or impossible(seconds, "seconds").any():
        raise UserError(f"{sample} does not have a training time above zero for each of ten or more cells. {NOTHING}")
    return clock.fit(cells, seconds)


def _numbers(path: Path, column: str, values: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return np.array([np.nan if value is None else float(value) for value in values], np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: column {column} has a value that is not a number ({reason(error)}). {NOTHING}") from None


def _shown(key: Any) -> str:
    return key if isinstance(key, str) and key.isalnum() and len(key) <= 40 else repr(str(key)[:40])


def _trained(split: str, epochs: int) -> list[str]:
    return [f"{split}_correct_{epochs}ep_r{repeat}" for repeat in range(REPEATS)]


def _footer(path: Path) -> bytes:
    """Return the end of a Parquet file, which has the names of its columns."""
    with peek(path) as file:
        file.seek(-8, os.SEEK_END)
        end = file.read(8)
        if end[4:] != b"PAR1":
            raise ValueError("does not end as a Parquet file does")
        length = int.from_bytes(end[:4], "little")
        file.seek(-8 - length, os.SEEK_END)
        return file.read(length)


def _names(path: Path) -> set[str]:
    import pyarrow.parquet

    with peek(path) as file:
        return set(pyarrow.parquet.read_schema(file).names)


def _load(path: Path, columns: Iterable[str]) -> dict[str, list[Any]]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > _ROWS:
                raise UserError(f"it has {file.metadata.num_rows:,} rows; NAS-Bench-101 has fewer than {_ROWS:,} cells")
            names = [name for name in columns if name in file.schema_arrow.names]
            loaded: dict[str, list[Any]] = file.read(columns=names).to_pydict()
    except Exception as error:  # the reader raises various errors
        raise UserError(f"{path} is damaged: {reason(error)} ({path.stat().st_size:,} bytes present). {NOTHING}") from None
    if missing := set(columns) - set(loaded):
        raise UserError(f"{path} lacks the column {', '.join(sorted(missing))}. {NOTHING}")
    return loaded
