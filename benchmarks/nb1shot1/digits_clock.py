"""What the cost of a cell of nb1shot1/1-digits is made of: vertices of each operation, projections, multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.executed import FIRST_OP, MACS, PROJECTIONS
from benchmarks.nb1shot1.macro import DIGITS
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.training.clock import Clock, Floats, Line

FEATURES = (*OPS, "projections", "thousand multiplications")
"""Edges are not among them: in space 1 the number of vertices tells how many there are."""


def features(numbers: Sequence[int]) -> Floats:
    """Of the cells of these architectures: (cells, features)."""
    space, rows = NB1Shot1Space(1), []
    for number in numbers:
        cell = space.cell(space.at(number))
        counts = [cell.ops.count(op) for op in range(len(OPS))]
        rows.append([*counts, sum(cell.matrix[0]), network_size(cell, DIGITS)[1] / 1000])
    return np.array(rows, float)


@dataclass(frozen=True)
class DigitsClock:
    """Prices a pass of the supernet as the table prices its cells; a :class:`benchmarks.nb1shot1.clock.PassClock`."""

    timed: Clock

    def image(self, work: Floats, training: bool) -> Floats:
        """See :class:`benchmarks.nb1shot1.clock.PassClock`."""
        line = self.timed.train if training else self.timed.evaluate
        made_of = np.column_stack([work[:, FIRST_OP:], work[:, PROJECTIONS], work[:, MACS] / 1000])
        return line.cost(made_of) * 1e-6

    @property
    def facts(self) -> Mapping[str, str]:
        """One line per model, for captions."""
        lines = {"training": self.timed.train, "evaluation": self.timed.evaluate}
        return {f"clock:{name}": self._said(line) for name, line in lines.items()}

    def _said(self, line: Line) -> str:
        costs = ", ".join(f"{cost:+.3g} per {name}" for name, cost in line.per.items())
        fit = f"R2 {line.r2:.3f}, residual {line.residual:.2f} us over {self.timed.cells:,} timed cells"
        return f"{line.base:.1f} us an image, {costs}; {fit}"
