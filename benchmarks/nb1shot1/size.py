"""Trainable parameters and multiply-adds of NAS-Bench-101's network around a cell."""

from __future__ import annotations

from functools import lru_cache

from benchmarks.nb1shot1.cell import Cell

STEM, IMAGE, CLASSES = 128, 32, 10
STACKS, CELLS_PER_STACK = 3, 3
_KERNEL = (3, 1, 0)
"""Of each operation in the order of their numbers; 0 is pooling, which multiplies nothing."""


def network_size(cell: Cell) -> tuple[int, int]:
    """Trainable parameters, and multiply-adds of one 32 x 32 image, convolutions and the classifier counted.

    A 3x3 convolution to 128 channels, then 3 stacks of 3 cells; between stacks the image is halved and the first cell doubles
    the channels; average pooling and a classifier with bias. A convolution has no bias and is followed by batch
    normalisation with two parameters a channel. Edges out of a cell's input are 1x1 convolutions.
    """
    parameters, macs, added = _sizes(cell.matrix)
    for of_op, op in zip(added, cell.ops, strict=True):
        more_parameters, more_macs = of_op[op]
        parameters += more_parameters
        macs += more_macs
    return parameters, macs


@lru_cache(maxsize=4096)
def _sizes(matrix: tuple[tuple[int, ...], ...]) -> tuple[int, int, list[list[tuple[int, int]]]]:
    """Parameters and multiply-adds without the inner vertices' operations, and what each operation adds at each vertex.

    A search space has few matrices, and each has many cells.
    """
    pixels, channels = IMAGE * IMAGE, STEM
    parameters, macs = _convolution(3, 3, STEM, pixels)
    added = [[(0, 0)] * len(_KERNEL) for _ in matrix[1:-1]]
    for stack in range(STACKS):
        doubling = int(stack > 0)
        for source, cells in ((channels >> doubling, doubling), (channels, CELLS_PER_STACK - doubling)):
            widths = vertex_channels(matrix, source, channels)
            for width, edge in zip(widths, matrix[0], strict=True):
                if edge:
                    weights, products = _convolution(1, source, width, pixels)
                    parameters, macs = parameters + cells * weights, macs + cells * products
            for of_op, width in zip(added, widths[1:-1], strict=True):
                for op, kernel in enumerate(_KERNEL):
                    if kernel:
                        weights, products = _convolution(kernel, width, width, pixels)
                        of_op[op] = of_op[op][0] + cells * weights, of_op[op][1] + cells * products
        if stack < STACKS - 1:
            pixels //= 4
            channels *= 2
    return parameters + (channels + 1) * CLASSES, macs + channels * CLASSES, added


@lru_cache(maxsize=4096)
def vertex_channels(matrix: tuple[tuple[int, ...], ...], source: int, target: int) -> list[int]:
    """Channels of every vertex of a cell that turns ``source`` channels into ``target``.

    Vertices that feed the output share its channels, the first ones taking what is left over; every other inner vertex is as
    wide as the widest that it feeds.
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


def _convolution(kernel: int, inputs: int, outputs: int, pixels: int) -> tuple[int, int]:
    """Parameters of a convolution with its batch normalisation, and its multiply-adds over so many pixels."""
    weights = kernel * kernel * inputs * outputs
    return weights + 2 * outputs, weights * pixels
