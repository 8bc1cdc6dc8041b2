"""The clock of nb1shot1/1-digits: the price of a cell depends on its operations, projections and multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.bundled.clock import Clock, Floats, Line
from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.executed import FIRST_OP, MACS, PROJECTIONS

FEATURES = (*OPS, "projections", "thousand multiplications")
"""The features of a cell that have a price. Edges have none: in space 1 the number of vertices determines their number."""


@dataclass(frozen=True)
class DigitsClock:
    """A :class:`benchmarks.nb1shot1.clock.PassClock` that prices passes of the supernet as the table prices its cells."""

    timed: Clock

    def image(self, work: Floats, training: bool) -> Floats:
        """Return the seconds of one image pass; see :class:`benchmarks.nb1shot1.clock.PassClock`."""
        line = self.timed.train if training else self.timed.evaluate
        features = np.column_stack([work[:, FIRST_OP:], work[:, PROJECTIONS], work[:, MACS] / 1000])
        return line.cost(features) * 1e-6

    @property
    def facts(self) -> Mapping[str, str]:
        """Return one line per model, for captions."""
        lines = {"training": self.timed.train, "evaluation": self.timed.evaluate}
        return {f"clock:{name}": self._text(line) for name, line in lines.items()}

    def _text(self, line: Line) -> str:
        costs = ", ".join(f"{cost:+.3g} per {name}" for name, cost in line.per.items())
        fit = f"R2 {line.r2:.3f}, residual {line.residual:.2f} us over {self.timed.cells:,} timed cells"
        return f"{line.base:.1f} us an image, {costs}; {fit}"
