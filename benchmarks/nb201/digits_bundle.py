"""The table of nb201/digits as the harness opens it: its files found, checked, and converted once into the cache.

Nothing here imports torch, and after the first time nothing reads a Parquet file.
"""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.digits_table import FILES
from benchmarks.nb201.table import SIZE, name
from benchmarks.training.table import Columns, read
from harness.cache import Table, TableWriter, cache_root, data_roots
from harness.problem import Availability, UserError

NAME = "digits"
BUNDLED = Path(__file__).parent / "data"

DIGEST = "8c4051c95703fe0b"
"""Of the settings that this benchmark was made with (``digits_task.SETTINGS``, which takes torch to ask)."""

_CONVERSION = 1
"""To be raised where :func:`_columns` changes, so that tables in the cache are made anew."""

_REMEDY = "take it from the repository again, or repeat 'python -m benchmarks.nb201.digits assemble'"


def folder() -> Path:
    """Where the table's files lie: a data folder that has them (a build of one's own), else the one of this package."""
    return next((root for root in data_roots() if (root / FILES.manifest).is_file()), BUNDLED)


def availability() -> Availability:
    """Reads the manifest only."""
    where = folder()
    if not (where / FILES.manifest).is_file():
        return Availability(False, "not built yet: `python -m benchmarks.nb201.digits build` makes it (docs/digits.md)")
    try:
        least, most = _manifest(where)["seeds"]
    except UserError as error:
        return Availability(False, str(error))
    origin = "bundled" if where == BUNDLED else f"found: {where}"
    seeds = f"{least} to {most} seeds" if least < most else f"{least} seeds"
    return Availability(True, f"{origin}, {SIZE // 1000} {SIZE % 1000} architectures, {seeds}")


def open_table() -> Table:
    """The table in the cache, converted first where it is not there yet.

    Raises :class:`UserError` where a file is missing, damaged or of other settings.
    """
    where = folder()
    manifest = _manifest(where)
    identity = hashlib.sha256(json.dumps([_CONVERSION, manifest["files"]], sort_keys=True).encode()).hexdigest()
    target = cache_root() / "nb201" / f"{NAME}-{identity[:12]}"
    if (target / "meta.json").is_file():
        return Table(target)
    files = {file: read(where / file, checksum) for file, checksum in manifest["files"].items()}
    with TableWriter(target) as writer:
        for column, values in _columns(files, manifest).items():
            writer.add(column, values)
        try:
            return writer.commit(_meta(manifest))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return Table(target)  # another process converted it meanwhile


def _manifest(where: Path) -> dict[str, Any]:
    path = where / FILES.manifest
    try:
        manifest = json.loads(path.read_text())
        if manifest["digest"] != DIGEST:
            raise UserError(f"{path} is of a table with other settings ({manifest['digest']}, here {DIGEST}); remove it")
        if set(manifest["files"]) != {FILES.cells, FILES.final, FILES.curves}:
            raise KeyError("files")
    except FileNotFoundError:
        raise UserError(f"nb201/digits is {availability().text}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged; {_REMEDY}") from None
    return dict(manifest)


def _meta(manifest: dict[str, Any]) -> dict[str, Any]:
    least, most = manifest["seeds"]
    return {
        "benchmark": "nb201/digits",
        "kind": f"nb201/digits, {least} to {most} seeds, settings {manifest['digest']}, packed at {manifest['commit']}",
        "source": {"files": manifest["files"], "shards": manifest["shards"]},
        "clock": manifest["clock"],
        "n": SIZE,
    }


def _columns(files: dict[str, Columns], manifest: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The columns of ``table.py``, a row per string: accuracies are its class's, costs its own.

    The validation accuracy after the last epoch is that over all noise draws, those of ``accuracy.curve`` that on the first
    draw, and each is charged the images that it takes. A training that was not made has no record, and no cost.
    """
    cells, final, curves = files[FILES.cells], files[FILES.final], files[FILES.curves]
    settings, sizes = manifest["settings"], manifest["sizes"]
    images = sizes["train"] // settings["batch"] * settings["batch"]
    train_seconds, pass_seconds = (cells[kind].astype(np.float64) * 1e-6 for kind in ("train_us", "evaluate_us"))
    columns: dict[str, npt.NDArray[Any]] = {}
    for seed in np.unique(final["seed"]).tolist():
        rows = np.full(SIZE, -1)
        mine = np.flatnonzero(final["seed"] == seed)
        rows[final["cell"][mine]] = mine
        rows = rows[cells["representative"]]  # of each string, the row of its class; -1 where it was not trained
        for recipe, epochs in settings["epochs"].items():
            prefix = name(NAME, epochs, seed)
            for split in ("valid", "test"):
                share = 100 / (sizes[split] * settings["draws"])
                columns[f"{prefix}/x-{split}/accuracy"] = _of_class(final[f"{recipe}_{split}"] * share, rows)
                columns[f"{prefix}/x-{split}/loss"] = _of_class(final[f"{recipe}_{split}_loss"] * manifest["loss_unit"], rows)
            curve = [_of_class(curves[f"{recipe}_{epoch:02}"] * (100 / sizes["valid"]), rows) for epoch in range(1, epochs + 1)]
            columns[f"{prefix}/x-valid/accuracy.curve"] = np.stack(curve, axis=1).astype(np.float32)
            one_draw = np.where(rows >= 0, sizes["valid"] * pass_seconds, np.nan)
            columns[f"{prefix}/x-valid/seconds.curve"] = np.repeat(one_draw[:, None].astype(np.float32), epochs, axis=1)
            columns[f"{prefix}/x-valid/pass_seconds"] = one_draw * settings["draws"]
            columns[f"{prefix}/train/total_seconds"] = np.where(rows >= 0, epochs * images * train_seconds, np.nan)
            columns[f"{prefix}/params"] = np.where(rows >= 0, cells["params"] / 1e6, np.nan)
            columns[f"{prefix}/flops"] = np.where(rows >= 0, cells["macs"] / 1e6, np.nan)
    return columns


def _of_class(values: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of each string its class's value, NaN where its row is -1."""
    return np.where(rows >= 0, values[rows], np.nan)
