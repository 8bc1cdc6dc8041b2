"""Price passes that the benchmark never timed, by an additive model fitted on the trainings that it timed.

Seconds per image = base + the sum over edges of the cost of the edge's operation. R2 is .993 on the published times; a line in
multiply-adds has .585. A supernet that executes several operations on an edge pays for each of them. These seconds are an
estimate by extrapolation, and are labelled so wherever they appear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.bundled.clock import Clock as TimedClock
from benchmarks.nb201.space import OPS, official_order


@dataclass(frozen=True)
class Fit:
    """Model of the seconds per image: ``base`` with six ``none``, and the cost of each operation on an edge, as in ``OPS``."""

    base: float
    operations: tuple[float, ...]
    r2: float
    residual: float
    """Standard deviation of the residual, seconds per image."""
    cells: int
    """Number of timed cells."""

    def __call__(self, counts: Sequence[int]) -> float:
        """Return the seconds per image with ``counts[o]`` edges that execute operation ``o``; never below zero."""
        return max(self.base + sum(n * cost for n, cost in zip(counts, self.operations, strict=True)), 0.0)


@dataclass(frozen=True)
class Clock:
    """Prices of the passes of a supernet."""

    training: Fit
    """Seconds of a forward and a backward pass."""
    evaluation: Fit
    """Seconds of a forward pass."""

    def seconds(self, counts: Sequence[int], images: float, training: bool) -> float:
        """Return the seconds of one pass over ``images`` images."""
        return images * (self.training if training else self.evaluation)(counts)

    @property
    def facts(self) -> Mapping[str, str]:
        """Return one line per model, for captions."""
        return {f"clock:{name}": _line(fit) for name, fit in (("training", self.training), ("evaluation", self.evaluation))}


def fit(seconds: npt.NDArray[np.float64]) -> Fit:
    """Fit the model by least squares.

    Args:
        seconds: (15625,) seconds per image by official index; NaN if a cell was not timed.

    Raises:
        ValueError: too few cells were timed.
    """
    counts = np.array([[arch.count(op) for op in range(len(OPS))] for arch in official_order()], dtype=np.float64)
    timed = ~np.isnan(seconds)
    if timed.sum() <= len(OPS):
        raise ValueError(f"{timed.sum()} timed cells are too few to fit a clock")
    # ``none`` is the base: the six counts of a cell add up to six
    design = np.column_stack([np.ones(int(timed.sum())), counts[timed, 1:]])
    solution, *_ = np.linalg.lstsq(design, seconds[timed], rcond=None)
    residuals = seconds[timed] - design @ solution
    spread = float(((seconds[timed] - seconds[timed].mean()) ** 2).sum())
    r2 = 1.0 - float((residuals**2).sum()) / spread if spread else 1.0
    return Fit(float(solution[0]), (0.0, *map(float, solution[1:])), r2, float(residuals.std()), int(timed.sum()))


def stated(timed: TimedClock) -> Clock:
    """Return the clock that priced a table: its stored numbers, with the quality of its fit to the timed cells."""
    lines = (timed.train, timed.evaluate)
    return Clock(
        *(
            Fit(line.base * 1e-6, (0.0, *(line.per[op] * 1e-6 for op in OPS[1:])), line.r2, line.residual * 1e-6, timed.cells)
            for line in lines
        )
    )


def _line(model: Fit) -> str:
    costs = ", ".join(f"{op} {cost * 1e6:+.1f}" for op, cost in zip(OPS[1:], model.operations[1:], strict=True))
    fit = f"R2 {model.r2:.3f}, residual {model.residual * 1e6:.2f} us over {model.cells:,} timed cells"
    return f"{model.base * 1e6:.1f} us an image {costs} on each edge; {fit}"
