"""The training side of recurrent cells. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.training import Meter, TrainingSide

if TYPE_CHECKING:
    from benchmarks.darts_rnn.task import RnnTask


@dataclass(frozen=True)
class RnnTrainingSide(TrainingSide):
    """The training side that opens :class:`benchmarks.darts_rnn.task.RnnTask`."""

    currencies = frozenset({"epochs", "macs"})

    dataset: str

    @property
    def heavy(self) -> bool:
        return self.dataset == "ptb"

    def __call__(self, world: int, device: str, charge: Meter) -> RnnTask:
        from benchmarks.darts_rnn.task import RnnTask

        return RnnTask(self.dataset, world, device, charge)
