"""The clock of nb201/digits: what training a cell would cost one by one, fitted on cells that were timed so.

Training many networks at once gives no time per cell. So some cells are trained alone, step by step, and an additive model
is fitted: microseconds per image = base + the sum over the six edges of what the operation there costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.space import OPS, official_order
from benchmarks.training.clock import least_squares, saved, time_alone


@dataclass(frozen=True)
class Line:
    """One additive model, microseconds per image."""

    base: float
    per_edge: dict[str, float]
    """Of each operation on an edge, more than ``none``."""
    r2: float
    residual: float
    """Standard deviation of what the model leaves, microseconds per image."""

    def cost(self, cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of cells (N, 6) of operation numbers: (N,)."""
        per_edge = np.array([self.per_edge[op] for op in OPS])
        return np.asarray(self.base + per_edge[cells].sum(1))


@dataclass(frozen=True)
class Clock:
    """Of a training step (forward, backward, update) and of a forward pass in evaluation."""

    train: Line
    evaluate: Line
    cells: int
    """How many were timed."""
    made_with: str


def fit(cells: npt.NDArray[np.int64], costs: npt.NDArray[np.float64]) -> Line:
    """Least squares on counts of operations. Cells (N, 6), costs (N,) microseconds per image."""
    counts = np.stack([(cells == op).sum(1).astype(float) for op in range(1, len(OPS))], axis=1)
    found, r2, residual = least_squares(counts, costs)
    return Line(float(found[0]), dict(zip(OPS, (0.0, *map(float, found[1:])), strict=True)), r2, residual)


def measure(indices: Sequence[int]) -> Clock:
    """Times the plain network of each cell on one thread."""
    import torch

    from benchmarks.nb201.digits_task import SETTINGS, Task
    from benchmarks.nb201.network import Network

    task = Task(SETTINGS)
    images, labels = task.batches(0, 0)
    networks = (Network(official_order()[index], SETTINGS.macro).load(task.initial(index, 0)) for index in indices)
    training, evaluation = time_alone(networks, images[0], labels[0], SETTINGS.sgd("short"))
    cells = np.array([official_order()[index] for index in indices])
    made_with = f"torch {torch.__version__}, one thread, batch {SETTINGS.batch}"
    return Clock(fit(cells, training), fit(cells, evaluation), len(indices), made_with)


def load(path: Path) -> Clock:
    """A clock that was saved. Raises :class:`UserError` where there is none."""
    return saved(path, Clock, Line)
