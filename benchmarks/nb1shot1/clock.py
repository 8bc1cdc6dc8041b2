"""Price networks that were never timed by a line in the network's size, fitted on recorded trainings.

NAS-Bench-101 has times of complete trainings only. The line explains 87 % of their variance over random cells (84 % with
parameters alone). The seconds of one cell are an estimate, and are labelled so wherever they appear. No coefficient is
negative, so a network that executes more never costs less; this costs .002 of R2.
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
"""File of recorded times; it is used together with plain columns in the same folder."""


class PassClock(Protocol):
    """Clock that prices a pass of a supernet from the networks of the table that the pass executes."""

    def image(self, work: npt.NDArray[np.float64], training: bool) -> npt.NDArray[np.float64]:
        """Return the seconds of one image pass for each row of ``work``; see :mod:`benchmarks.nb1shot1.executed`."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """Return one line per model, for captions."""
        ...


@dataclass(frozen=True)
class Clock:
    """Model of a 108-epoch training in seconds: ``base + per_parameter * parameters + sum of per_op over inner vertices``."""

    base: float
    per_parameter: float
    per_op: Sequence[float]
    """One coefficient per operation of ``cell.OPS``. It is not the time of the operation, which also adds parameters."""
    r2: float
    median_error: float
    """Median relative error over the cells of the fit; 1 is 100 %."""
    cells: int
    forward: float = 1 / 3
    """Seconds of a pass without gradients, relative to one with gradients. 1/3: the backward pass counts twice (not timed)."""

    def seconds(self, cells: Sequence[Cell]) -> npt.NDArray[np.float64]:
        """Return the estimated seconds of a 108-epoch training of each cell; scale them by epochs for shorter trainings."""
        return np.asarray(_features(cells) @ [self.base, self.per_parameter, *self.per_op])

    def image(self, work: npt.NDArray[np.float64], training: bool) -> npt.NDArray[np.float64]:
        """See :class:`PassClock`."""
        seconds = self.base + self.per_parameter * work[:, PARAMETERS] + work[:, FIRST_OP:] @ np.array(self.per_op)
        return np.asarray(seconds / PASSES * (1 if training else self.forward))

    @property
    def facts(self) -> Mapping[str, str]:
        """Return the model in one line, for captions."""
        ops = ", ".join(f"{seconds:.1f} s per {name}" for name, seconds in zip(OPS, self.per_op, strict=True))
        text = (
            f"{self.base:.0f} s + {1e6 * self.per_parameter:.1f} s per million parameters, {ops} for a whole training; "
            f"R2 {self.r2:.3f}, median error {100 * self.median_error:.0f} % over {self.cells:,} cells"
        )
        return {"clock:training": text}


def fit(cells: Sequence[Cell], seconds: npt.NDArray[np.float64]) -> Clock:
    """Fit the least-squares line through recorded 108-epoch times, with no negative coefficient."""
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


def sample_of(path: Path) -> Path | None:
    """Return the file of recorded times in the folder of a table of plain columns, or None."""
    sample = path.with_name(SAMPLE)
    return sample if is_file(sample) and sample != path else None


def _features(cells: Sequence[Cell]) -> npt.NDArray[np.float64]:
    counts = ([network_size(cell)[0], *(cell.ops.count(op) for op in range(len(OPS)))] for cell in cells)
    return np.array([[1, *row] for row in counts], dtype=np.float64)
