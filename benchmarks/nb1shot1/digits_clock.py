"""The clock of nb1shot1/1-digits: what training a cell would cost one by one, fitted on cells that were timed so.

Microseconds per image = base + the sum over what a cell is made of (:func:`features`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.nb1shot1.cell import OPS, Cell
from benchmarks.training.clock import Floats, least_squares, saved, time_alone

FEATURES = (*OPS, "projections", "thousand multiplications")
"""Edges are not among them: in space 1 the number of vertices tells how many there are."""


@dataclass(frozen=True)
class Line:
    """One additive model, microseconds per image."""

    base: float
    per: dict[str, float]
    """Of each of :data:`FEATURES`."""
    r2: float
    residual: float
    """Standard deviation of what the model leaves, microseconds per image."""

    def cost(self, features: Floats) -> Floats:
        """Of cells (N, features): (N,)."""
        return np.asarray(self.base + features @ np.array([self.per[name] for name in FEATURES]))


@dataclass(frozen=True)
class Clock:
    """Of a training step (forward, backward, update) and of a forward pass in evaluation."""

    train: Line
    evaluate: Line
    cells: int
    """How many were timed."""
    made_with: str


def features(cells: Sequence[Cell]) -> Floats:
    """What each cell is made of: (cells, features)."""
    from benchmarks.nb1shot1.digits_task import SETTINGS
    from benchmarks.nb1shot1.network import macs

    rows = []
    for cell in cells:
        counts = [cell.ops.count(op) for op in range(len(OPS))]
        rows.append([*counts, sum(cell.matrix[0]), macs(cell, SETTINGS.macro) / 1000])
    return np.array(rows, float)


def fit(features: Floats, costs: Floats) -> Line:
    """Least squares."""
    found, r2, residual = least_squares(features, costs)
    return Line(float(found[0]), dict(zip(FEATURES, map(float, found[1:]), strict=True)), r2, residual)


def measure(numbers: Sequence[int]) -> Clock:
    """Times the plain network of each cell on one thread."""
    import torch

    from benchmarks.nb1shot1.digits_task import SETTINGS, Task
    from benchmarks.nb1shot1.network import Network

    task = Task(SETTINGS)
    images, labels = task.batches(0, 0)
    networks = (Network(task.cell(number), SETTINGS.macro).load(task.initial(number, 0)) for number in numbers)
    training, evaluation = time_alone(networks, images[0], labels[0], SETTINGS.sgd("short"))
    made_of = features([task.cell(number) for number in numbers])
    made_with = f"torch {torch.__version__}, one thread, batch {SETTINGS.batch}"
    return Clock(fit(made_of, training), fit(made_of, evaluation), len(numbers), made_with)


def load(path: Path) -> Clock:
    """A clock that was saved. Raises :class:`UserError` where there is none."""
    return saved(path, Clock, Line)
