"""A finished build of nb201/digits without any training: every cell, made-up records, packed by the real code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.nb201.digits import SUBJECT
from benchmarks.nb201.digits_clock import FEATURES
from benchmarks.nb201.digits_task import SETTINGS
from benchmarks.nb201.space import official_order
from benchmarks.nb201.unique import representatives
from benchmarks.training import build as building
from benchmarks.training.build import Folder, units
from benchmarks.training.clock import Clock, Line

SIZES = {"train": 1024, "valid": 384, "test": 389}
CLOCK = Clock(
    train=Line(20.0, dict(zip(FEATURES, (1.0, 5.0, 11.0, 3.0), strict=True)), 0.99, 0.5),
    evaluate=Line(6.0, dict(zip(FEATURES, (0.3, 1.5, 3.5, 1.0), strict=True)), 0.98, 0.2),
    cells=200,
    made_with="nothing, a made clock",
)


def quality(cell: int) -> float:
    """What a made cell is worth, 0 to 1: it grows with the convolutions, and is the same in every call."""
    arch = official_order()[cell]
    own = np.random.default_rng(cell).random()
    return float(0.4 + 0.08 * sum(op == 3 for op in arch) + 0.05 * sum(op == 2 for op in arch) + 0.1 * own - 0.02)


def shard(unit: building.Unit, quality: Callable[[int], float] = quality) -> building.Shard:
    """Records of a unit: quality, seed noise, and curves that rise to it."""
    worth = np.array([quality(cell) for cell in unit.cells])[:, None]
    random = np.random.default_rng([unit.cells[0], *unit.seeds])
    shape = (len(unit.cells), len(unit.seeds))
    made = {"cells": np.array(unit.cells, np.int32), "seeds": np.array(unit.seeds, np.int32)}
    for recipe, epochs in SETTINGS.epochs.items():
        level = worth * (0.95 if recipe == "short" else 1.0)
        for part in ("valid", "test"):
            images = SIZES[part] * SETTINGS.draws
            made[f"{recipe}_{part}"] = np.rint(images * (level + random.normal(0, 0.006, shape))).astype(np.uint16)
            made[f"{recipe}_{part}_loss"] = (2.3 * (1 - level) + random.random(shape) / 10).astype(np.float32)
        rise = 1 - 0.6 ** np.arange(1, epochs + 1)
        curve = SIZES["valid"] * (level[..., None] * rise + random.normal(0, 0.01, (*shape, epochs)))
        made[f"{recipe}_curve"] = np.rint(curve.clip(0)).astype(np.uint16)
    return made


def build(path: Path, top: bool = True) -> Folder:
    """A finished build in ``path``, with its clock."""
    folder = Folder(path)
    folder.settle(SETTINGS, 3)
    for unit in units("main", representatives(), range(3)):
        folder.write(unit, shard(unit))
    for unit in units("top", building.top_cells(folder, representatives()), range(3, 5)) if top else ():
        folder.write(unit, shard(unit))
    CLOCK.save(folder.clock)
    return folder


def table(path: Path, to: Path) -> Path:
    """Packs a made build of large shards in ``path`` into the table ``to``, which it returns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "CELLS_PER_SHARD", 2000)
        SUBJECT.assemble(build(path), to)
    return to
