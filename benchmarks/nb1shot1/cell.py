"""NAS-Bench-101's cells: directed acyclic graphs of at most 7 vertices and 9 edges, and their pruning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""Operations of inner vertices; an operation's number is its label in the graph hash."""
CONV3, CONV1, MAXPOOL = range(len(OPS))
KERNEL = {CONV3: 3, CONV1: 1}
"""Kernel size of each operation with weights."""

MAX_VERTICES = 7
MAX_EDGES = 9


class Cell(NamedTuple):
    """A pruned cell. Vertex 0 is its input, the last vertex its output; every vertex is on a path between them."""

    matrix: tuple[tuple[int, ...], ...]
    """Upper triangular, 0 or 1; row = source, column = target."""
    ops: tuple[int, ...]
    """The operation of each inner vertex, as its number in :data:`OPS`."""


class InvalidCell(ValueError):
    """A graph without a network in NAS-Bench-101, with the reason."""


def prune(matrix: Sequence[Sequence[int]], ops: Sequence[int]) -> Cell:
    """Return the cell without the vertices that are on no path from input to output. The order of vertices is unchanged.

    Args:
        matrix: V x V, upper triangular, entries 0 or 1.
        ops: V - 2 numbers of :data:`OPS`.

    Raises:
        InvalidCell: the matrix is invalid, has no path, or too many vertices or edges after pruning; an operation is unknown.
    """
    size = len(matrix)
    if size < 2 or any(len(row) != size for row in matrix) or len(ops) != size - 2:
        raise InvalidCell(f"{size} rows and {len(ops)} operations are no square matrix of a cell with its inner operations")
    if any(
        edge not in (0, 1) or (edge and target <= source)
        for source, row in enumerate(matrix)
        for target, edge in enumerate(row)
    ):
        raise InvalidCell("the matrix is not upper triangular with entries 0 and 1")
    ahead, behind = _reachable(matrix, 0), _reachable(list(zip(*matrix, strict=True)), size - 1)
    used = [vertex for vertex in range(size) if vertex in ahead and vertex in behind]
    if len(used) < 2:
        raise InvalidCell("no path leads from the input to the output")
    cell = Cell(
        tuple(tuple(int(matrix[source][target]) for target in used) for source in used),
        tuple(int(ops[vertex - 1]) for vertex in used[1:-1]),
    )
    if any(not 0 <= op < len(OPS) for op in cell.ops):
        raise InvalidCell(f"operations {cell.ops} are not numbers of {', '.join(OPS)}")
    edges = sum(map(sum, cell.matrix))
    if len(used) > MAX_VERTICES or edges > MAX_EDGES:
        raise InvalidCell(f"{len(used)} vertices and {edges} edges; there may be {MAX_VERTICES} and {MAX_EDGES}")
    return cell


def _reachable(matrix: Sequence[Sequence[int]], start: int) -> set[int]:
    """Return the vertices that can be reached from ``start``, including itself."""
    reached, todo = {start}, [start]
    while todo:
        new = [target for target, edge in enumerate(matrix[todo.pop()]) if edge and target not in reached]
        reached.update(new)
        todo += new
    return reached
