"""What opens the training side of NAS-Bench-1Shot1 for a search, and reaches no record of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmarks.nb1shot1.clock import PassClock
from harness.errors import UserError
from harness.training import Meter

if TYPE_CHECKING:
    from benchmarks.nb1shot1.task import NB1Shot1Task


@dataclass(frozen=True)
class TrainingData:
    """Opens :class:`benchmarks.nb1shot1.task.NB1Shot1Task` in a world, at the price of the table's clock."""

    dataset: str
    number: int
    """Of the search space."""
    clock: PassClock | None
    """None if the table has no times."""

    choices: ClassVar[frozenset[str]] = frozenset({"partial", "edges"})
    operations_on: ClassVar[str] = "nodes"

    @property
    def heavy(self) -> bool:
        """Whether a supernet on these images takes a GPU."""
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> NB1Shot1Task:
        from benchmarks.nb1shot1.space import NB1Shot1Space
        from benchmarks.nb1shot1.task import NB1Shot1Task

        if self.clock is None:
            raise UserError("the table has no training times, so weight sharing has no price")
        return NB1Shot1Task(self.dataset, NB1Shot1Space(self.number), self.clock, world, device, charge)

    def describe(self) -> str:
        """Which images a search trains on, for captions and identities. Raises :class:`UserError` where they are missing."""
        from benchmarks.images.parts import describe

        return describe(self.dataset, "halves")
