"""The compact table of nb201/digits: three Parquet files made of a build's shards.

``digits_final.parquet`` and ``digits_curves.parquet`` have a row per unique cell (by its representative's official index) and
seed; counts of correct answers are kept as such, so that nothing is rounded. ``digits_cells.parquet`` has a row per string.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.digits_build import RECIPES, Folder, representatives
from benchmarks.nb201.digits_clock import Clock
from benchmarks.nb201.space import NB201Space, official_order
from harness.cache import atomic
from harness.problem import UserError

CELLS, FINAL, CURVES = "digits_cells.parquet", "digits_final.parquet", "digits_curves.parquet"
LIMIT = 1_500_000
"""Bytes that a file may have."""
LOSS_UNIT = 1e-4
"""Losses are kept as multiples of this many nats."""

Columns = dict[str, npt.NDArray[Any]]


def classes() -> npt.NDArray[np.int64]:
    """Of each official index the representative's: int64 of shape (15625,)."""
    space = NB201Space()
    first = {space.canonical(official_order()[index]): index for index in representatives()}
    return np.array([first[space.canonical(arch)] for arch in official_order()])


def cells(clock: Clock) -> Columns:
    """Per string, in official order: representative, parameters, MACs and the clock's microseconds per image."""
    from benchmarks.nb201.digits_task import SETTINGS
    from benchmarks.nb201.network import macs, parameters

    order = official_order()
    numbers = np.array(order)
    return {
        "index": np.arange(len(order), dtype=np.int16),
        "representative": classes().astype(np.int16),
        "params": np.array([parameters(arch, SETTINGS.macro) for arch in order], np.int32),
        "macs": np.array([macs(arch, SETTINGS.macro) for arch in order], np.int32),
        "train_us": clock.train.cost(numbers).astype(np.float32),
        "evaluate_us": clock.evaluate.cost(numbers).astype(np.float32),
    }


def records(folder: Folder) -> tuple[Columns, Columns]:
    """The final and the per-epoch columns, rows by cell and seed.

    Raises :class:`UserError` where a shard is damaged or a cell has no record.
    """
    final: dict[str, list[npt.NDArray[Any]]] = {}
    curves: dict[str, list[npt.NDArray[Any]]] = {}
    for _, shard in folder.records():
        seeds = len(shard["seeds"])
        keys = {"cell": np.repeat(shard["cells"], seeds), "seed": np.tile(shard["seeds"], len(shard["cells"]))}
        for name, values in keys.items():
            final.setdefault(name, []).append(values)
            curves.setdefault(name, []).append(values)
        for recipe in RECIPES:
            for part in ("valid", "test"):
                loss = np.rint(shard[f"{recipe}_{part}_loss"].reshape(-1) / LOSS_UNIT)
                final.setdefault(f"{recipe}_{part}", []).append(shard[f"{recipe}_{part}"].reshape(-1))
                final.setdefault(f"{recipe}_{part}_loss", []).append(np.clip(loss, 0, 65535).astype(np.uint16))
            curve = shard[f"{recipe}_curve"]
            for epoch, values in enumerate(curve.reshape(-1, curve.shape[-1]).T, start=1):
                curves.setdefault(f"{recipe}_{epoch:02}", []).append(values)
    missing = set(representatives()) - set(np.concatenate(final.get("cell", [np.array([])])).tolist())
    if missing:
        raise UserError(f"{folder.path}: {len(missing)} of {len(representatives())} cells have no record; finish 'build' first")
    return _sorted(final), _sorted(curves)


def _sorted(pieces: dict[str, list[npt.NDArray[Any]]]) -> Columns:
    columns = {name: np.concatenate(parts) for name, parts in pieces.items()}
    order = np.lexsort((columns["seed"], columns["cell"]))
    kinds = {"cell": np.int16, "seed": np.uint8}
    return {name: values[order].astype(kinds.get(name, values.dtype)) for name, values in columns.items()}


def write(columns: Columns, path: Path, facts: dict[str, Any]) -> int:
    """Writes one Parquet file with ``facts`` as JSON in its metadata; answers its size.

    Raises :class:`UserError` where it would be larger than :data:`LIMIT`; then nothing is left.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns).replace_schema_metadata({"digits": json.dumps(facts, sort_keys=True)})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19, use_dictionary=True)
        size = temporary.stat().st_size
        if size > LIMIT:
            raise UserError(f"{path.name} would have {size} bytes, more than {LIMIT}; nothing was written")
    return size
