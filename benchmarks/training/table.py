"""The compact table of a finished build: three Parquet files made of its shards, and the manifest that vouches for them.

The final and the curves file have a row per cell (by its number) and seed; counts of correct answers are kept as such, so that
nothing is rounded. What the file of cells has, each benchmark says. The manifest says what they were made of, and their
checksums. It is written last: where it is, the table is whole.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.training.build import EXTRA_SEEDS, RECIPES, Folder, top_cells, units
from harness.cache import atomic, explain, sha256
from harness.errors import UserError

LIMIT = 1_500_000
"""Bytes that a file may have."""
LOSS_UNIT = 1e-4
"""Losses are kept as multiples of this many nats."""

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Files:
    """The names of a table's files."""

    prefix: str

    @property
    def cells(self) -> str:
        """A row per architecture."""
        return f"{self.prefix}_cells.parquet"

    @property
    def final(self) -> str:
        """The results after the last epoch."""
        return f"{self.prefix}_final.parquet"

    @property
    def curves(self) -> str:
        """Validation epoch by epoch."""
        return f"{self.prefix}_curves.parquet"

    @property
    def manifest(self) -> str:
        """What vouches for them."""
        return f"{self.prefix}.json"


def records(folder: Folder) -> tuple[Columns, Columns]:
    """The final and the per-epoch columns of the shards that are there, rows by cell and seed.

    Raises :class:`UserError` where a shard is damaged or there is none.
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
    if not final:
        raise UserError(f"{folder.path} holds no shard yet; run 'build' first")
    return _sorted(final), _sorted(curves)


def whole(folder: Folder, cells: Sequence[int]) -> None:
    """Raises :class:`UserError` where a cell has no record, or the pass over the best tenth was begun and not finished."""
    there = {name: set(shard["cells"].tolist()) for name, shard in folder.records()}
    trained = {cell for name, some in there.items() if name.startswith("main") for cell in some}
    missing = set(cells) - trained
    if missing:
        raise UserError(f"{folder.path}: {len(missing)} of {len(cells)} cells have no record; finish 'build' first")
    seeds = folder.plan["seeds"]
    top = {unit.name for unit in units("top", top_cells(folder, cells), range(seeds, seeds + EXTRA_SEEDS))}
    found = {name for name in there if name.startswith("top")}
    if found and found != top:
        raise UserError(f"{folder.path}: {len(found)} of {len(top)} shards of the best tenth; finish 'build --top' first")


def _sorted(pieces: dict[str, list[npt.NDArray[Any]]]) -> Columns:
    columns = {name: np.concatenate(parts) for name, parts in pieces.items()}
    order = np.lexsort((columns["seed"], columns["cell"]))
    kinds = {"cell": np.int16, "seed": np.uint8}
    return {name: values[order].astype(kinds.get(name, values.dtype)) for name, values in columns.items()}


def assemble(
    folder: Folder,
    files: Files,
    settings: Any,
    cells: Sequence[int],
    columns: Columns,
    clock: Mapping[str, Any],
    sizes: Mapping[str, int],
    to: Path,
) -> dict[str, int]:
    """Writes the table of a finished build into ``to``; answers each file's bytes.

    Args:
        cells: those that must have been trained.
        columns: of the file of cells.
        clock: as it is noted in the manifest.
        sizes: images in each part.

    Raises:
        UserError: the build is unfinished or of other settings.
    """
    plan = folder.plan
    if plan["digest"] != settings.digest:
        raise UserError(f"{folder.path} was built with other settings ({plan['digest']}, here {settings.digest})")
    whole(folder, cells)
    final, curves = records(folder)
    trainings = np.unique(final["cell"], return_counts=True)[1]
    facts = {
        "settings": plan["settings"],
        "digest": plan["digest"],
        "sizes": dict(sizes),
        "loss_unit": LOSS_UNIT,
        "clock": dict(clock),
        "seeds": [int(trainings.min()), int(trainings.max())],
        "shards": hashlib.sha256("".join(path.name for path in folder.shards().values()).encode()).hexdigest(),
        "commit": _commit(),
    }
    contents = {files.cells: columns, files.final: final, files.curves: curves}
    try:
        written = {name: write(table, to / name, facts) for name, table in contents.items()}
        sums = {name: sha256(to / name) for name in contents}
        with atomic(to / files.manifest) as temporary:
            temporary.write_text(json.dumps({**facts, "files": sums}, indent=1) + "\n")
    except OSError as error:
        raise explain(error, "write the table") from None
    return written


def write(columns: Columns, path: Path, facts: Mapping[str, Any]) -> int:
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


def read(path: Path, checksum: str) -> Columns:
    """The columns of one file. Raises :class:`UserError` that names it where its bytes are not those of the manifest."""
    import pyarrow.parquet as pq

    try:
        intact = sha256(path) == checksum
    except FileNotFoundError:
        raise UserError(f"{path} is missing; take it from the repository again, or repeat 'assemble'") from None
    if not intact:
        raise UserError(f"{path} is damaged (its checksum is another); take it from the repository again, or repeat 'assemble'")
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _commit() -> str:
    """Of the code that packs; ``unknown`` outside a checkout."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
