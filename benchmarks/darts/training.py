"""The training side of the DARTS space. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.training import Meter, TrainingSide

if TYPE_CHECKING:
    from benchmarks.darts.task import DartsTask


@dataclass(frozen=True)
class DartsTrainingSide(TrainingSide):
    """The training side that opens :class:`benchmarks.darts.task.DartsTask`."""

    choices = frozenset({"partial", "edges", "affine", "operations"})
    currencies = frozenset({"epochs", "macs"})
    deployable = True

    dataset: str

    @property
    def heavy(self) -> bool:
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> DartsTask:
        from benchmarks.darts.task import DartsTask

        return DartsTask(self.dataset, world, device, charge)

    def describe(self) -> str:
        if self.dataset == "imagenet":
            from benchmarks.darts.subsample import subsample

            return subsample().describe()
        from benchmarks.images.parts import describe

        return describe(self.dataset, "halves")
