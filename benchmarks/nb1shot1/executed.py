"""Express a pass of the supernet as networks of the table, because the clock prices only those.

A pass that executes one architecture is the network of its cell without loose ends. A pass that executes more options has
several topologies. In each of them a block has all operations that it executes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import OPS
from benchmarks.nb1shot1.macro import Macro
from benchmarks.nb1shot1.size import sizes
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness.weight_sharing import Active

PARAMETERS, MACS, PROJECTIONS, FIRST_OP = range(4)
"""Columns of a network's description: parameters, multiply-adds of one image, edges that leave the cell's input, and from
``FIRST_OP`` on the number of vertices of each operation."""


def executed(space: NB1Shot1Space, active: Active, macro: Macro, partial: int = 1) -> npt.NDArray[np.float64]:
    """Return the descriptions of the table's networks that a pass executes: (topologies, columns).

    Args:
        active: the options of the pass; see :class:`benchmarks.nb1shot1.supernet.Supernet` for the decisions.
        macro: the table's network around the cell.
        partial: operations use one channel in ``partial``; a convolution then has ``1 / partial**2`` of its weights.
    """
    operations, (output,), *inputs = active
    chosen = iter(inputs)
    sources = [next(chosen)[0] if taken < node else tuple(range(node)) for node, taken in enumerate(space.taken[:-1], 1)]
    fixed, added = _topologies(space.taken, (*sources, output), macro)
    runs = np.array([[op in row for op in range(len(OPS))] for row in operations], dtype=float)
    of_ops: npt.NDArray[np.float64] = np.einsum("bo,tbow->tw", runs, added)
    of_ops[:, [PARAMETERS, MACS]] /= partial**2
    return fixed + of_ops


@lru_cache(maxsize=4096)
def _topologies(
    taken: Sequence[int], sources: Sequence[Sequence[int]], macro: Macro
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the description of each topology without operations, and the additions of each block's operations.

    Args:
        taken: number of inputs of each node, the output last.
        sources: nodes among which each node takes its inputs.

    Returns:
        Arrays (topologies, columns) and (topologies, blocks, operations, columns).
    """
    ways = [
        list(itertools.combinations(open_to, min(count, len(open_to)))) for count, open_to in zip(taken, sources, strict=True)
    ]
    fixed, added = [], []
    for parents in itertools.product(*ways):
        end = len(parents)
        used = {end}
        for node in range(end, 0, -1):
            used.update(parents[node - 1] if node in used else ())
        vertices = sorted({0, *used})
        inputs = [()] + [parents[node - 1] for node in vertices[1:]]
        matrix = tuple(tuple(int(source in into) for into in inputs) for source in vertices)
        parameters, macs, of_vertex = sizes(matrix, macro)
        fixed.append([parameters, macs, sum(matrix[0]), *(0,) * len(OPS)])
        of_block = np.zeros((end - 1, len(OPS), FIRST_OP + len(OPS)))
        for block, of_op in zip(vertices[1:-1], of_vertex, strict=True):
            for op, (more_parameters, more_macs) in enumerate(of_op):
                of_block[block - 1, op, [PARAMETERS, MACS, FIRST_OP + op]] = more_parameters, more_macs, 1
        added.append(of_block)
    return np.array(fixed, dtype=float), np.array(added)
