"""A finished build of nb201/digits without any training: every cell, invented records, assembled by the real code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bundled.clock import Clock, Line
from benchmarks.digits_tables import shards
from benchmarks.digits_tables.assembly import assemble
from benchmarks.digits_tables.nb201 import NB201Recipe
from benchmarks.digits_tables.shards import EXTRA_SEEDS, Folder, Shard, Unit, top_cells, units
from benchmarks.nb201.digits_bundle import BUNDLE, SETTINGS
from benchmarks.nb201.space import official_order

FEATURES = BUNDLE.prices
RECIPE = NB201Recipe()
SIZES = {"train": 1024, "valid": 384, "test": 389}
CLOCK = Clock(
    train=Line(20.0, dict(zip(FEATURES, (1.0, 5.0, 11.0, 3.0), strict=True)), 0.99, 0.5),
    evaluate=Line(6.0, dict(zip(FEATURES, (0.3, 1.5, 3.5, 1.0), strict=True)), 0.98, 0.2),
    cells=200,
    made_with="nothing, a made clock",
)


def quality(cell: int) -> float:
    """Return the quality of a cell, 0 to 1. It grows with the convolutions and is the same in every call."""
    arch = official_order()[cell]
    own = np.random.default_rng(cell).random()
    return float(0.4 + 0.08 * sum(op == 3 for op in arch) + 0.05 * sum(op == 2 for op in arch) + 0.1 * own - 0.02)


def shard(unit: Unit, quality: Callable[[int], float] = quality) -> Shard:
    """Return invented records of a unit: quality, seed noise, and curves that rise to it."""
    means = np.array([quality(cell) for cell in unit.cells])[:, None]
    random = np.random.default_rng([unit.cells[0], *unit.seeds])
    shape = (len(unit.cells), len(unit.seeds))
    records = {"cells": np.array(unit.cells, np.int32), "seeds": np.array(unit.seeds, np.int32)}
    for recipe, epochs in SETTINGS.epochs.items():
        level = means * (0.95 if recipe == "short" else 1.0)
        for part in ("valid", "test"):
            images = SIZES[part] * SETTINGS.draws
            records[f"{recipe}_{part}"] = np.rint(images * (level + random.normal(0, 0.006, shape))).astype(np.uint16)
            records[f"{recipe}_{part}_loss"] = (2.3 * (1 - level) + random.random(shape) / 10).astype(np.float32)
        rise = 1 - 0.6 ** np.arange(1, epochs + 1)
        curve = SIZES["valid"] * (level[..., None] * rise + random.normal(0, 0.01, (*shape, epochs)))
        records[f"{recipe}_curve"] = np.rint(curve.clip(0)).astype(np.uint16)
    return records


def build(path: Path, top: bool = True) -> Folder:
    """Write a finished build with its clock into ``path``."""
    folder = Folder(path)
    folder.settle(SETTINGS, 3)
    for unit in units("main", RECIPE.cells, range(3)):
        folder.write(unit, shard(unit))
    for unit in units("top", top_cells(folder, RECIPE.cells), range(3, 3 + EXTRA_SEEDS)) if top else ():
        folder.write(unit, shard(unit))
    folder.write_clock(CLOCK)
    return folder


def table(path: Path, to: Path) -> Path:
    """Write a build of large shards into ``path``, assemble its table in ``to``, and return ``to``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CELLS_PER_SHARD", 2000)
        assemble(RECIPE, build(path), to)
    return to
