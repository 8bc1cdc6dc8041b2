"""A finished build of nb1shot1/1-digits without any training: every different cell, made-up records."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.nb1shot1.digits_clock import FEATURES
from benchmarks.nb1shot1.digits_task import SETTINGS, SPACE
from benchmarks.nb1shot1.unique import representatives
from benchmarks.training import build as building
from benchmarks.training.build import Folder, units
from benchmarks.training.clock import Clock, Line
from tests import made_digits

LINE = Line(30.0, dict.fromkeys(FEATURES, 1.0), 0.9, 1.0)


def build(path: Path) -> Folder:
    """In ``path``, with its clock, in large shards."""
    folder = Folder(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "CELLS_PER_SHARD", 2000)
        folder.settle(SETTINGS, 3)
        for unit in units("main", representatives(), range(3)):
            folder.write(unit, made_digits.shard(unit, lambda cell: 0.5 + 0.4 * cell / SPACE.size))
    Clock(LINE, LINE, 200, "nothing, a made clock").save(folder.clock)
    return folder
