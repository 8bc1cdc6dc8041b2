"""The files of a finished build: three Parquet files made of its shards, and a manifest with their checksums.

The final file and the curves file have a row per cell and seed. They store accuracies as counts of correct answers, which are
exact. The recipe defines the columns of the file of cells. The manifest is written last: if it exists, the table is complete.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.bundle import Columns
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.shards import EXTRA_SEEDS, RECIPES, Shards, top_cells, units
from benchmarks.images.digits import SIZES
from harness.cache import atomic, explain, sha256
from harness.errors import UserError

LIMIT = 1_500_000
"""Largest accepted size of a file, bytes."""
LOSS_UNIT = 1e-4
"""Losses are stored as multiples of this many nats."""


def records(shards: Shards) -> tuple[Columns, Columns]:
    """Return the final and the per-epoch columns of all shards, rows sorted by cell and seed.

    Raises:
        UserError: a shard is damaged, or there is none.
    """
    final: dict[str, list[npt.NDArray[Any]]] = {}
    curves: dict[str, list[npt.NDArray[Any]]] = {}
    for _, shard in shards.records():
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
    if not final:
        raise UserError(f"{shards.path} contains no shard yet; run 'build' first")
    return _sorted(final), _sorted(curves)


def check_complete(shards: Shards, cells: Sequence[int]) -> None:
    """Check that every cell has a record, and that a pass over the best tenth is finished if it was begun.

    Raises:
        UserError: the build is unfinished.
    """
    trained = {unit: set(shard["cells"].tolist()) for unit, shard in shards.records()}
    missing = set(cells).difference(*(numbers for unit, numbers in trained.items() if unit.startswith("main")))
    if missing:
        raise UserError(f"{shards.path}: {len(missing)} of {len(cells)} cells have no record; finish 'build' first")
    seeds = shards.plan["seeds"]
    wanted = {unit.name for unit in units("top", top_cells(shards, cells), range(seeds, seeds + EXTRA_SEEDS))}
    finished = {unit for unit in trained if unit.startswith("top")}
    if finished and finished != wanted:
        raise UserError(f"{shards.path}: {len(finished)} of {len(wanted)} shards of the best tenth; finish 'build --top' first")


def check_settings(recipe: TableRecipe, shards: Shards) -> None:
    """Check that a build was made with the recipe's settings.

    Raises:
        UserError: it was made with other settings.
    """
    digest = shards.plan["digest"]
    if digest != recipe.settings.digest:
        raise UserError(f"{shards.path} was built with other settings ({digest}, here {recipe.settings.digest})")


def _sorted(pieces: dict[str, list[npt.NDArray[Any]]]) -> Columns:
    columns = {name: np.concatenate(parts) for name, parts in pieces.items()}
    order = np.lexsort((columns["seed"], columns["cell"]))
    kinds = {"cell": np.int16, "seed": np.uint8}
    return {name: values[order].astype(kinds.get(name, values.dtype)) for name, values in columns.items()}


def assemble(recipe: TableRecipe, shards: Shards, to: Path) -> dict[str, int]:
    """Write the table of a finished build into ``to`` and return the size of each Parquet file in bytes.

    Raises:
        UserError: the build is unfinished, has no clock or has other settings.
    """
    plan, files = shards.plan, recipe.bundle.files
    check_settings(recipe, shards)
    check_complete(shards, recipe.cells)
    clock = shards.clock(recipe.bundle.prices)
    if clock is None:
        raise UserError(f"{shards.path} has no clock; run the command 'time --out {shards.path}' first")
    final, curves = records(shards)
    trainings = np.unique(final["cell"], return_counts=True)[1]
    facts = {
        "settings": plan["settings"],
        "digest": plan["digest"],
        "sizes": dict(zip(("train", "valid", "test"), SIZES, strict=True)),
        "loss_unit": LOSS_UNIT,
        "clock": asdict(clock),
        "seeds": [int(trainings.min()), int(trainings.max())],
        "shards": hashlib.sha256("".join(shards.shards().values()).encode()).hexdigest(),
        "commit": _commit(),
    }
    contents = {files.cells: recipe.columns(clock), files.final: final, files.curves: curves}
    try:
        written = {name: write(table, to / name, facts) for name, table in contents.items()}
        sums = {name: sha256(to / name) for name in contents}
        with atomic(to / files.manifest) as temporary:
            temporary.write_text(json.dumps({**facts, "files": sums}, indent=1) + "\n")
    except OSError as error:
        raise explain(error, "write the table") from None
    return written


def write(columns: Columns, path: Path, facts: Mapping[str, Any]) -> int:
    """Write one Parquet file with ``facts`` as JSON in its metadata, and return its size in bytes.

    Raises:
        UserError: the file would be larger than :data:`LIMIT`; nothing is written.
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


def _commit() -> str:
    """Return the commit of this code, ``unknown`` outside a checkout."""
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip() or "unknown"
