"""What opens the training side of NAS-Bench-201 for a search, and reaches no record of the table itself."""

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
from harness.problem import Meter, UserError

if TYPE_CHECKING:
    from benchmarks.nb201.task import NB201Task


@dataclass(frozen=True)
class TrainingData:
    """Opens :class:`benchmarks.nb201.task.NB201Task` in a world, at the price of the table's clock.

    ``searched`` is the official data set whose trainings were timed.
    """

    dataset: str
    searched: str
    recipe: int
    table: Path

    @property
    def heavy(self) -> bool:
        """Whether a supernet on these images takes a GPU."""
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> NB201Task:
        from benchmarks.nb201.task import NB201Task

        return NB201Task(self.dataset, self.clock, world, device, charge)

    def describe(self) -> str:
        """Which images a search trains on, for captions and identities. Raises :class:`UserError` where they are missing."""
        from benchmarks.images.parts import describe

        return describe(self.dataset, "nb201")

    @property
    def clock(self) -> clock.Clock:
        """The one that the table was priced by, else one fitted on the table's trainings, once per process."""
        return _clock(self)


@lru_cache(maxsize=4)
def _clock(data: TrainingData) -> clock.Clock:
    table = Table(data.table)
    if "clock" in table.meta:  # its seconds are the clock's own, so a fit to them would say nothing of the timed cells
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
