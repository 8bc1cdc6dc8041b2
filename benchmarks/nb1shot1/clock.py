"""Training seconds of what was never timed: a line in the network's size, fitted on recorded trainings.

NAS-Bench-101 has times of whole trainings only. The line explains 87 % of their variance over random cells (parameters alone:
84 %); what it says of one cell is an estimate, and is marked so wherever it is used. No coefficient is below zero, which costs
.002 of R2: what executes more never costs less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import OPS, Cell
from benchmarks.nb1shot1.executed import FIRST_OP, PARAMETERS
from benchmarks.nb1shot1.size import network_size
from harness.look import is_file

PASSES = 108 * 40_000
"""Image passes of a timed training."""
SAMPLE = "nb101_train_time_sample.parquet"
"""Recorded times; it is used together with the plain columns that lie beside it."""

Floats = npt.NDArray[np.float64]


class PassClock(Protocol):
    """Prices what the table's networks consist of."""

    def image(self, work: Floats, training: bool) -> Floats:
        """Return the seconds of one image pass. ``work``: rows of :mod:`benchmarks.nb1shot1.executed`."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """One line per model, for captions."""
        ...


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

    def image(self, work: Floats, training: bool) -> Floats:
        """See :class:`PassClock`."""
        whole = self.base + self.per_parameter * work[:, PARAMETERS] + work[:, FIRST_OP:] @ np.array(self.per_op)
        return np.asarray(whole / PASSES * (1 if training else self.forward))

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
    from scipy.optimize import nnls

    features = _features(cells)
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
