"""The optimiser's schedule: SGD with Nesterov momentum and a cosine learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.bundled.settings import Settings


@dataclass(frozen=True)
class SgdSchedule:
    """Hyperparameters of the optimiser. Weight decay acts on every parameter, as in NAS-Bench-201."""

    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4

    @classmethod
    def of(cls, settings: Settings, recipe: str) -> SgdSchedule:
        """Return the schedule of a recipe."""
        return cls(settings.rates[recipe], settings.momentum, settings.decay)

    def at(self, progress: float) -> float:
        """Return the learning rate: a cosine from ``rate`` to 0.

        Args:
            progress: the finished share of the training, 0 to 1.
        """
        return self.rate * 0.5 * (1 + math.cos(math.pi * progress))
