"""Trainable parameters and multiply-adds of NAS-Bench-101's network around a cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import compress

from benchmarks.nb1shot1.cell import KERNEL, OPS, Cell
from benchmarks.nb1shot1.macro import PAPER, Macro

Convolution = tuple[int, int, int, int]
"""Side of the kernel, input channels, output channels, and side of the image."""


def network_size(cell: Cell, macro: Macro = PAPER) -> tuple[int, int]:
    """Return the number of trainable parameters, and the multiply-adds of the convolutions and the classifier for one image.

    A convolution has no bias and is followed by batch normalisation with two parameters per channel. Edges that leave a
    cell's input are 1x1 convolutions. The classifier has a bias.
    """
    parameters, macs, added = sizes(cell.matrix, macro)
    for of_op, op in zip(added, cell.ops, strict=True):
        more_parameters, more_macs = of_op[op]
        parameters += more_parameters
        macs += more_macs
    return parameters, macs


@lru_cache(maxsize=4096)
def sizes(matrix: tuple[tuple[int, ...], ...], macro: Macro) -> tuple[int, int, list[list[tuple[int, int]]]]:
    """Return parameters and multiply-adds without the inner vertices' operations, and those of each operation at each vertex.

    A search space has few matrices, and each has many cells.
    """
    places = [(inputs, vertex_channels(matrix, inputs, outputs), size) for _, inputs, outputs, size in macro.places()]
    stem = (macro.stem, macro.channels, macro.width, macro.size)
    projections = [(1, inputs, width, size) for inputs, widths, size in places for width in compress(widths, matrix[0])]
    parameters, macs = _total([stem, *projections])

    def op_at(vertex: int, op: int) -> tuple[int, int]:
        return _total((KERNEL[op], widths[vertex], widths[vertex], size) for _, widths, size in places if op in KERNEL)

    added = [[op_at(vertex, op) for op in range(len(OPS))] for vertex in range(1, len(matrix) - 1)]
    return parameters + (macro.last + 1) * macro.classes, macs + macro.last * macro.classes, added


def _total(convolutions: Iterable[Convolution]) -> tuple[int, int]:
    """Return the parameters, batch normalisations included, and the multiply-adds of some convolutions."""
    parameters = macs = 0
    for kernel, inputs, outputs, size in convolutions:
        weights = kernel * kernel * inputs * outputs
        parameters += weights + 2 * outputs
        macs += weights * size * size
    return parameters, macs


@lru_cache(maxsize=4096)
def vertex_channels(matrix: tuple[tuple[int, ...], ...], source: int, target: int) -> list[int]:
    """Return the channels of every vertex of a cell that turns ``source`` channels into ``target``.

    Vertices that feed the output share its channels; the first ones get one more if the division has a remainder. Every other
    inner vertex is as wide as the widest vertex that it feeds.
    """
    size = len(matrix)
    channels = [source] + [0] * (size - 2) + [target]
    feeding = [vertex for vertex in range(1, size - 1) if matrix[vertex][-1]]
    for rank, vertex in enumerate(feeding):
        channels[vertex] = target // len(feeding) + (rank < target % len(feeding))
    for vertex in range(size - 2, 0, -1):
        if not matrix[vertex][-1]:
            channels[vertex] = max(channels[next_] for next_ in range(vertex + 1, size - 1) if matrix[vertex][next_])
    return channels
