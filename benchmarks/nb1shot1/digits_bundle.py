"""The table of nb1shot1/1-digits as the harness opens it: its files found, checked, and converted once into the cache.

Nothing here imports torch, and after the first time nothing reads a Parquet file.
"""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1 import clock
from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.digits_table import FILES
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.training.table import Columns, read
from harness.cache import Table, TableWriter, cache_root, data_roots
from harness.problem import Availability, UserError

NAME = "nb1shot1/1-digits"
BUNDLED = Path(__file__).parent / "data"

_CONVERSION = 1
"""To be raised where :func:`_columns` changes, so that tables in the cache are made anew."""

_REMEDY = "take it from the repository again, or repeat 'python -m benchmarks.nb1shot1.digits assemble'"


def folder() -> Path:
    """Where the table's files lie: a data folder that has them (a build of one's own), else the one of this package."""
    return next((root for root in data_roots() if (root / FILES.manifest).is_file()), BUNDLED)


def availability() -> Availability:
    """Reads the manifest only."""
    where = folder()
    if not (where / FILES.manifest).is_file():
        return Availability(False, "not built yet: `python -m benchmarks.nb1shot1.digits build` makes it")
    try:
        seeds = _manifest(where)["seeds"][0]
    except UserError as error:
        return Availability(False, str(error))
    origin = "bundled" if where == BUNDLED else f"found: {where}"
    return Availability(True, f"{origin}, {NB1Shot1Space(1).size:,} architectures, {seeds} seeds".replace(",", " ", 1))


def open_table() -> Table:
    """The table in the cache, converted first where it is not there yet.

    Raises :class:`UserError` where a file is missing or damaged.
    """
    where = folder()
    manifest = _manifest(where)
    identity = hashlib.sha256(json.dumps([_CONVERSION, manifest["files"]], sort_keys=True).encode()).hexdigest()
    target = cache_root() / "nb1shot1-digits" / identity[:12]
    if (target / "meta.json").is_file():
        return Table(target)
    files = {file: read(where / file, checksum) for file, checksum in manifest["files"].items()}
    columns, fitted = _columns(files[FILES.cells], files[FILES.final], manifest)
    with TableWriter(target) as writer:
        for column, values in columns.items():
            writer.add(column, values)
        try:
            return writer.commit(_meta(manifest, fitted))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return Table(target)  # another process converted it meanwhile


def _manifest(where: Path) -> dict[str, Any]:
    path = where / FILES.manifest
    try:
        manifest = json.loads(path.read_text())
        if set(manifest["files"]) != {FILES.cells, FILES.final, FILES.curves}:
            raise KeyError("files")
    except FileNotFoundError:
        raise UserError(f"{NAME} is {availability().text}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged; {_REMEDY}") from None
    return dict(manifest)


def _images(manifest: dict[str, Any]) -> dict[str, int]:
    """How many images train in an epoch, and how many are counted, all noise draws of them."""
    settings, sizes = manifest["settings"], manifest["sizes"]
    counted = {split: sizes[split] * settings["draws"] for split in ("valid", "test")}
    return {"train": sizes["train"] // settings["batch"] * settings["batch"], **counted}


def _meta(manifest: dict[str, Any], fitted: clock.Clock) -> dict[str, Any]:
    seeds = manifest["seeds"][0]
    return {
        "benchmark": NAME,
        "kind": f"{NAME}, {seeds} seeds, settings {manifest['digest']}, packed at {manifest['commit']}",
        "source": {"files": manifest["files"], "shards": manifest["shards"]},
        "data": {"name": "digits", **_images(manifest)},
        "clock": {"kind": "recorded", **asdict(fitted)},
        "n": NB1Shot1Space(1).size,
    }


def _columns(cells: Columns, final: Columns, manifest: dict[str, Any]) -> tuple[dict[str, npt.NDArray[Any]], clock.Clock]:
    """The columns of ``table.py``, and the clock of what was not trained.

    Only the seeds that every cell has: more of the best ones alone would favour what they are compared with.
    """
    space, seeds, images = NB1Shot1Space(1), manifest["seeds"][0], _images(manifest)
    numbers = cells["cell"].astype(np.int64)
    found = [space.cell(space.at(number)) for number in numbers.tolist()]
    row_of = {space.canonical(space.at(number)): row for row, number in enumerate(numbers.tolist())}
    columns: dict[str, npt.NDArray[Any]] = {
        "hash": np.array(list(row_of), dtype="S32"),
        "macs": cells["macs"].astype(np.float64),
        "space/1": np.array([row_of[space.canonical(space.at(index))] for index in range(space.size)], np.int32),
    }
    rows = np.searchsorted(numbers, final["cell"])
    kept = final["seed"] < seeds
    for recipe, epochs in manifest["settings"]["epochs"].items():
        for split in ("valid", "test"):
            counts = np.full((len(numbers), seeds), -1, np.int16)
            counts[rows[kept], final["seed"][kept]] = final[f"{recipe}_{split}"][kept]
            columns[f"{split}/{epochs}"] = counts
        seconds = epochs * images["train"] * cells["train_us"].astype(np.float64) * 1e-6
        columns[f"seconds/{epochs}"] = np.repeat(seconds[:, None], seeds, axis=1)
    counts_of_ops = [[cell.ops.count(op) for op in range(len(OPS))] for cell in found]
    features = np.column_stack([np.ones(len(found)), cells["params"], np.array(counts_of_ops, np.float64)])
    longest = max(manifest["settings"]["epochs"].values())
    return columns, clock.line(features, columns[f"seconds/{longest}"].mean(axis=1))
