"""NAS-Bench-101's cells: directed acyclic graphs of at most 7 vertices and 9 edges, and what is left of one after pruning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""Operations of inner vertices; an operation's number is its label in the graph hash."""
CONV3, CONV1, MAXPOOL = range(len(OPS))
KERNEL = {CONV3: 3, CONV1: 1}
"""Side of the kernel of each operation that has weights."""

MAX_VERTICES = 7
MAX_EDGES = 9


class Cell(NamedTuple):
    """A pruned cell. Vertex 0 is its input, the last vertex its output; every vertex lies on a path between the two."""

    matrix: tuple[tuple[int, ...], ...]
    """Upper triangular, 0 or 1; row = source, column = target."""
    ops: tuple[int, ...]
    """The operation of each inner vertex, as its number in :data:`OPS`."""


class InvalidCell(ValueError):
    """A graph that NAS-Bench-101 has no network for, with the reason."""


def prune(matrix: Sequence[Sequence[int]], ops: Sequence[int]) -> Cell:
    """The cell without the vertices that lie on no path from input to output; the others keep their order.

    Args:
        matrix: V x V, upper triangular, entries 0 or 1.
        ops: V - 2 numbers of :data:`OPS`.

    Raises:
        InvalidCell: not such a matrix, no path, too many vertices or edges after pruning, or an unknown operation.
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
    kept = [vertex for vertex in range(size) if vertex in ahead and vertex in behind]
    if len(kept) < 2:
        raise InvalidCell("no path leads from the input to the output")
    cell = Cell(
        tuple(tuple(int(matrix[source][target]) for target in kept) for source in kept),
        tuple(int(ops[vertex - 1]) for vertex in kept[1:-1]),
    )
    if any(not 0 <= op < len(OPS) for op in cell.ops):
        raise InvalidCell(f"operations {cell.ops} are not numbers of {', '.join(OPS)}")
    edges = sum(map(sum, cell.matrix))
    if len(kept) > MAX_VERTICES or edges > MAX_EDGES:
        raise InvalidCell(f"{len(kept)} vertices and {edges} edges; there may be {MAX_VERTICES} and {MAX_EDGES}")
    return cell


def _reachable(matrix: Sequence[Sequence[int]], start: int) -> set[int]:
    """The vertices that edges lead to from ``start``, itself included."""
    found, todo = {start}, [start]
    while todo:
        new = [target for target, edge in enumerate(matrix[todo.pop()]) if edge and target not in found]
        found.update(new)
        todo += new
    return found
