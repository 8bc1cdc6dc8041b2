"""The training side of NAS-Bench-1Shot1. It reaches no record of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.nb1shot1.clock import PassClock
from harness.errors import UserError
from harness.training import Meter, TrainingSide

if TYPE_CHECKING:
    from benchmarks.nb1shot1.task import NB1Shot1Task


@dataclass(frozen=True)
class NB1Shot1TrainingSide(TrainingSide):
    """Training side that opens :class:`benchmarks.nb1shot1.task.NB1Shot1Task`, priced by the table's clock."""

    choices = frozenset({"partial", "edges"})
    operations_on = "nodes"

    dataset: str
    number: int
    """Number of the search space."""
    passes: PassClock | None
    """None if the table has no times."""

    @property
    def heavy(self) -> bool:
        return self.dataset != "digits"

    @property
    def clock(self) -> PassClock | None:
        return self.passes

    def __call__(self, world: int, device: str, charge: Meter) -> NB1Shot1Task:
        from benchmarks.nb1shot1.space import NB1Shot1Space
        from benchmarks.nb1shot1.task import NB1Shot1Task

        if self.clock is None:
            raise UserError("the table has no training times, so weight sharing has no price")
        return NB1Shot1Task(self.dataset, NB1Shot1Space(self.number), self.clock, world, device, charge)

    def describe(self) -> str:
        from benchmarks.images.parts import describe

        return describe(self.dataset, "halves")
