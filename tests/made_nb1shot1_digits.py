"""A finished build of nb1shot1/1-digits without any training: every different cell, invented records."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bundled.clock import Clock, Line
from benchmarks.digits_tables import shards
from benchmarks.digits_tables.nb1shot1 import SPACE, NB1Shot1Recipe
from benchmarks.digits_tables.shards import Folder, units
from benchmarks.nb1shot1.digits_clock import FEATURES
from tests import made_digits

RECIPE = NB1Shot1Recipe()
LINE = Line(30.0, dict.fromkeys(FEATURES, 1.0), 0.9, 1.0)


def build(path: Path) -> Folder:
    """Write a finished build of large shards, with its clock, into ``path``."""
    folder = Folder(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CELLS_PER_SHARD", 2000)
        folder.settle(RECIPE.settings, 3)
        for unit in units("main", RECIPE.cells, range(3)):
            folder.write(unit, made_digits.shard(unit, lambda cell: 0.5 + 0.4 * cell / SPACE.size))
    folder.write_clock(Clock(LINE, LINE, 200, "nothing, a made clock"))
    return folder
