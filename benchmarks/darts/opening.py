"""What opens the training side of the DARTS space for a search. Imports no PyTorch by itself."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from harness.training import Meter


@dataclass(frozen=True)
class TrainingData:
    """Opens :class:`benchmarks.darts.task.DartsTask` in a world."""

    dataset: str
    choices = ("partial", "edges", "affine")
    """Of the supernet, beyond those that every space has; see :class:`harness.weight_sharing.Task`."""

    @property
    def heavy(self) -> bool:
        """Whether a supernet on these images takes a GPU."""
        return self.dataset != "digits"

    def __call__(self, world: int, device: str, charge: Meter) -> Any:
        return importlib.import_module("benchmarks.darts.task").DartsTask(self.dataset, world, device, charge)

    def describe(self) -> str:
        """Which images a search trains on, for captions and identities. Raises :class:`UserError` where they are missing."""
        from benchmarks.images.parts import describe

        return describe(self.dataset, "halves")
