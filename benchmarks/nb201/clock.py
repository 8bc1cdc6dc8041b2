"""The benchmark's own seconds for what it never timed: an additive model fitted on the trainings it did time.

Seconds per image = base + the sum over edges of what the edge's operation costs (R2 .993 on the published times,
where a line in multiply-adds has .585). A supernet that executes several operations on an edge pays for each of them. Such
seconds are an estimate by extrapolation and are named so wherever they appear.
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
    """Seconds per image: ``base`` with six ``none``, and what each operation adds on an edge, in the order of ``OPS``."""

    base: float
    operations: tuple[float, ...]
    r2: float
    residual: float
    """Standard deviation of the residual, seconds per image."""
    cells: int
    """How many were timed."""

    def __call__(self, counts: Sequence[int]) -> float:
        """Seconds per image with ``counts[o]`` edges that execute operation ``o``; never below zero."""
        return max(self.base + sum(n * cost for n, cost in zip(counts, self.operations, strict=True)), 0.0)


@dataclass(frozen=True)
class Clock:
    """What a pass costs."""

    training: Fit
    """Forward and backward."""
    evaluation: Fit

    def seconds(self, counts: Sequence[int], images: float, training: bool) -> float:
        """Of one pass over ``images`` images."""
        return images * (self.training if training else self.evaluation)(counts)

    @property
    def facts(self) -> Mapping[str, str]:
        """One line per model, for captions."""
        return {f"clock:{name}": _said(fit) for name, fit in (("training", self.training), ("evaluation", self.evaluation))}


def fit(seconds: npt.NDArray[np.float64]) -> Fit:
    """Least squares over all cells of the official order; ``seconds`` per image, NaN where a cell was not timed.

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
    rest = seconds[timed] - design @ solution
    spread = float(((seconds[timed] - seconds[timed].mean()) ** 2).sum())
    r2 = 1.0 - float((rest**2).sum()) / spread if spread else 1.0
    return Fit(float(solution[0]), (0.0, *map(float, solution[1:])), r2, float(rest.std()), int(timed.sum()))


def stated(timed: TimedClock) -> Clock:
    """The clock of a table whose seconds are this clock's: the same numbers, with the fit to the cells that were timed."""
    lines = (timed.train, timed.evaluate)
    return Clock(
        *(
            Fit(line.base * 1e-6, (0.0, *(line.per[op] * 1e-6 for op in OPS[1:])), line.r2, line.residual * 1e-6, timed.cells)
            for line in lines
        )
    )


def _said(found: Fit) -> str:
    costs = ", ".join(f"{op} {cost * 1e6:+.1f}" for op, cost in zip(OPS[1:], found.operations[1:], strict=True))
    fit = f"R2 {found.r2:.3f}, residual {found.residual * 1e6:.2f} us over {found.cells:,} timed cells"
    return f"{found.base * 1e6:.1f} us an image {costs} on each edge; {fit}"
