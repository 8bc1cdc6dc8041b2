"""Training seconds of what was never timed: a line in the network's size, fitted on recorded trainings.

NAS-Bench-101 has times of whole trainings only. The line explains 87 % of their variance over random cells (parameters alone:
84 %); what it says of one cell is an estimate, and is marked so wherever it is used. No coefficient is below zero, which costs
.002 of R2: a supernet that executes more never costs less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import OPS, Cell
from benchmarks.nb1shot1.size import network_size
from harness.look import is_file

SAMPLE = "nb101_train_time_sample.parquet"
"""Recorded times; it is used together with the plain columns that lie beside it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """Seconds of a 108-epoch training: ``base + per_parameter * parameters + sum of per_op over the inner vertices``."""

    base: float
    per_parameter: float
    per_op: Sequence[float]
    """In the order of ``cell.OPS``; a part of a fit, not a time of its own: parameters tell operations apart as well."""
    r2: float
    median_error: float
    """Median of the relative errors over the cells fitted on, as a share of 1."""
    cells: int
    forward: float = 1 / 3
    """Of the seconds of a pass with gradients, those of one without. Where nobody timed one: the backward pass counts twice."""

    def seconds(self, cells: Sequence[Cell]) -> Floats:
        """Estimated seconds of a 108-epoch training of each cell; shorter ones take their share of the epochs."""
        return np.asarray(_features(cells) @ [self.base, self.per_parameter, *self.per_op])

    def of_size(self, parameters: float, ops: Sequence[int]) -> float:
        """Seconds of such a training of any network with so many parameters and so many vertices of each operation."""
        return self.base + self.per_parameter * parameters + sum(n * cost for n, cost in zip(ops, self.per_op, strict=True))

    @property
    def facts(self) -> Mapping[str, str]:
        """The model in one line, for captions."""
        ops = ", ".join(f"{seconds:.1f} s per {name}" for name, seconds in zip(OPS, self.per_op, strict=True))
        text = (
            f"{self.base:.0f} s + {1e6 * self.per_parameter:.1f} s per million parameters, {ops} for a whole training; "
            f"R2 {self.r2:.3f}, median error {100 * self.median_error:.0f} % over {self.cells:,} cells"
        )
        return {"clock:training": text}


def fit(cells: Sequence[Cell], seconds: Floats) -> Clock:
    """The least-squares line through recorded 108-epoch times, no coefficient below zero."""
    return line(_features(cells), seconds)


def line(features: Floats, seconds: Floats) -> Clock:
    """Likewise through any times; ``features`` (cells, 5): one, parameters, and vertices of each operation."""
    from scipy.optimize import nnls

    scale = features.max(axis=0).clip(1)
    solution = nnls(features / scale, seconds)[0] / scale
    base, per_parameter, *per_op = solution.tolist()
    residual = seconds - features @ solution
    return Clock(
        base,
        per_parameter,
        per_op,
        r2=float(1 - residual.var() / seconds.var()) if seconds.var() else 1.0,
        median_error=float(np.median(np.abs(residual) / seconds)),
        cells=len(seconds),
    )


def beside(path: Path) -> Path | None:
    """The recorded times that lie beside a table of plain columns, or None."""
    sample = path.with_name(SAMPLE)
    return sample if is_file(sample) and sample != path else None


def _features(cells: Sequence[Cell]) -> Floats:
    counts = ([network_size(cell)[0], *(cell.ops.count(op) for op in range(len(OPS)))] for cell in cells)
    return np.array([[1, *row] for row in counts], dtype=np.float64)
