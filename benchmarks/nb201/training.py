"""The training side of NAS-Bench-201. It reaches the recorded times of the table, and no accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.bundled.clock import Clock as TimedClock
from benchmarks.nb201 import clock
from benchmarks.nb201.space import OPS
from benchmarks.nb201.table import Records
from harness.cache import Table
from harness.errors import UserError
from harness.training import Meter, TrainingSide

if TYPE_CHECKING:
    from benchmarks.nb201.task import NB201Task


@dataclass(frozen=True)
class NB201TrainingSide(TrainingSide):
    """Training side that opens :class:`benchmarks.nb201.task.NB201Task`, priced by the table's clock.

    Args:
        searched: the official data set whose trainings were timed.
        recipe: epochs of these trainings.
    """

    choices = frozenset({"affine", "normed"})

    dataset: str
    searched: str
    recipe: int
    table: Path

    @property
    def heavy(self) -> bool:
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> NB201Task:
        from benchmarks.nb201.task import NB201Task

        return NB201Task(self.dataset, self.clock, world, device, charge)

    def describe(self) -> str:
        from benchmarks.images.parts import describe

        return describe(self.dataset, "nb201")

    @property
    def clock(self) -> clock.Clock:
        """Return the clock that priced the table; if there is none, a clock fitted on its trainings, once per process."""
        return _clock(self)


@lru_cache(maxsize=4)
def _clock(data: NB201TrainingSide) -> clock.Clock:
    table = Table(data.table)
    if "clock" in table.meta:  # the clock made these seconds: a fit to them would not measure its error on the timed cells
        return clock.stated(TimedClock.of(table.meta["clock"], OPS[1:]))
    records = Records(table)
    images = records.images(data.searched)
    seeds = records.seeds(data.searched, data.recipe)
    totals = [records.get(data.searched, data.recipe, seed, "train", "total_seconds") for seed in seeds]
    passes = [records.get(data.searched, data.recipe, seed, "x-valid", "pass_seconds") for seed in seeds]
    fits = []
    for columns, count in ((totals, images.train * data.recipe), (passes, images.valid)):
        timed = [column for column in columns if column is not None]
        if not timed:
            raise UserError(f"the table has no times of {data.searched}, so weight sharing on it has no price")
        with np.errstate(all="ignore"):
            fits.append(clock.fit(np.nanmean(np.stack(timed), axis=0) / count))
    return clock.Clock(*fits)
