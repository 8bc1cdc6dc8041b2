"""What the cost of a cell of nb1shot1/1-digits is made of: vertices of each operation, projections, multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.training.clock import Floats

FEATURES = (*OPS, "projections", "thousand multiplications")
"""Edges are not among them: in space 1 the number of vertices tells how many there are."""


def features(numbers: Sequence[int]) -> Floats:
    """Of the cells of these architectures: (cells, features)."""
    from benchmarks.nb1shot1.digits_task import SETTINGS

    space, rows = NB1Shot1Space(1), []
    for number in numbers:
        cell = space.cell(space.at(number))
        counts = [cell.ops.count(op) for op in range(len(OPS))]
        rows.append([*counts, sum(cell.matrix[0]), network_size(cell, SETTINGS.macro)[1] / 1000])
    return np.array(rows, float)
