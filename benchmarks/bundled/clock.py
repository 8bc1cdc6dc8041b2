"""The clock of a bundled table: an additive model of the time that one image takes.

Microseconds per image = base + the sum over the features of a cell, count times price. Each benchmark defines the features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One additive model, microseconds per image."""

    base: float
    per: dict[str, float]
    """The cost of each feature of a cell, in the order of the feature columns."""
    r2: float
    residual: float
    """Standard deviation of the residuals, microseconds per image."""

    def cost(self, features: Floats) -> Floats:
        """Return the microseconds per image of cells: (cells,).

        Args:
            features: (cells, features).
        """
        return np.asarray(self.base + features @ np.array(list(self.per.values())))


@dataclass(frozen=True)
class Clock:
    """The costs of a training step (forward, backward, update) and of a forward pass in evaluation."""

    train: Line
    evaluate: Line
    cells: int
    """Number of timed cells."""
    made_with: str
    """Software, threads and batch size of the timing."""

    @classmethod
    def of(cls, values: Mapping[str, Any], names: Sequence[str] = ()) -> Clock:
        """Return the clock that ``dataclasses.asdict`` converted to ``values``.

        Args:
            names: the features that the clock must have prices for; empty: any features.

        Raises:
            KeyError: the clock has prices for other features.
        """
        clock = cls(**{**values, "train": Line(**values["train"]), "evaluate": Line(**values["evaluate"])})
        if names and not list(names) == list(clock.train.per) == list(clock.evaluate.per):
            raise KeyError("per")
        return clock
