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
    normalisation with two parameters a channel.
    """
    pixels, channels = IMAGE * IMAGE, STEM
    parameters = _convolution(3, 3, STEM)
    macs = pixels * 9 * 3 * STEM
    for stack in range(STACKS):
        doubling = int(stack > 0)
        for source, cells in ((channels >> doubling, doubling), (channels, CELLS_PER_STACK - doubling)):
            if cells:
                kernels, weights = _cell(cell, source, channels)
                parameters += cells * weights
                macs += cells * pixels * kernels
        if stack < STACKS - 1:
            pixels //= 4
            channels *= 2
    return parameters + (channels + 1) * CLASSES, macs + channels * CLASSES


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


def _cell(cell: Cell, source: int, target: int) -> tuple[int, int]:
    """Multiplications per pixel, and parameters, of one cell. Edges out of the cell's input are 1x1 convolutions."""
    channels = vertex_channels(cell.matrix, source, target)
    projected = [width for width, edge in zip(channels, cell.matrix[0], strict=True) if edge]
    layers = [(1, source, width) for width in projected]
    layers += [(_KERNEL[op], width, width) for op, width in zip(cell.ops, channels[1:-1], strict=True) if _KERNEL[op]]
    kernels = sum(kernel * kernel * inputs * outputs for kernel, inputs, outputs in layers)
    return kernels, kernels + sum(2 * outputs for _, _, outputs in layers)


def _convolution(kernel: int, inputs: int, outputs: int) -> int:
    """Parameters of a convolution with its batch normalisation."""
    return kernel * kernel * inputs * outputs + 2 * outputs
