"""Trainable parameters and multiply-adds of the evaluation network of a cell, without the auxiliary head."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.darts.cell import INPUTS, OPS, STATES, inputs, pruned
from benchmarks.darts.macro import CIFAR, ExtraNorm, Macro, Place, places
from harness.space import Arch


class Size(NamedTuple):
    """The size of a network, or of a part of it."""

    parameters: int
    macs: int
    """Multiply-adds of one image in convolutions and in the classifier. Norms, poolings, sums and biases count as zero."""

    def __add__(self, other: object) -> Size:
        return Size(self.parameters + other.parameters, self.macs + other.macs) if isinstance(other, Size) else NotImplemented


def network_size(arch: Arch, macro: Macro = CIFAR) -> Size:
    """Return the exact size of the network, without building it."""
    total, outputs = _stem(macro), 0
    for place in places(arch, macro):
        total += cell_size(place, macro.extra_norm)
        outputs = place.outputs
    return total + Size((outputs + 1) * macro.classes, outputs * macro.classes)


def cell_size(place: Place, extra_norm: ExtraNorm = "none") -> Size:
    """Return the size of one cell: the two projections of its inputs, and its operations."""
    pixels, width = place.size**2, place.width
    total = _conv(1, place.older, width, pixels) + _norm(width)  # FactorizedReduce has the same two counts
    total += _conv(1, place.newer, width, pixels) + _norm(width)
    cell = pruned(place.cell)
    for node in range(INPUTS, STATES):
        for op, source in inputs(cell, node):
            total += op_size(OPS[op], width, place.stride(source), place.output_size**2, extra_norm)
    return total


def op_size(op: str, width: int, stride: int, pixels: int, extra_norm: ExtraNorm = "none") -> Size:
    """Return the size of one operation.

    Args:
        op: name of the operation.
        width: channels of its input and of its output.
        stride: 2 if it halves the size.
        pixels: number of pixels of its output.
        extra_norm: the operations without weights that have a batch norm.
    """
    if op == "skip_connect" and stride == 2:
        return _conv(1, width, width, pixels) + _norm(width)
    if "conv" not in op:
        return _norm(width if extra_norm == "all" or (extra_norm == "pooling" and "pool" in op) else 0)
    kernel, times = int(op[-1]), 2 if op.startswith("sep") else 1
    once = _conv(kernel, 1, width, pixels) + _conv(1, width, width, pixels) + _norm(width)
    return Size(times * once.parameters, times * once.macs)


def _stem(macro: Macro) -> Size:
    width, half = macro.stem_width, macro.stem_width // 2
    if macro.stem == "cifar":
        return _conv(3, macro.channels, width, macro.size**2) + _norm(width)
    first = _conv(3, macro.channels, half, (macro.size // 2) ** 2) + _norm(half)
    second = _conv(3, half, width, (macro.size // 4) ** 2) + _norm(width)
    return first + second + _conv(3, width, width, (macro.size // 8) ** 2) + _norm(width)


def _conv(kernel: int, inputs: int, outputs: int, pixels: int) -> Size:
    weights = kernel * kernel * inputs * outputs
    return Size(weights, weights * pixels)


def _norm(channels: int) -> Size:
    return Size(2 * channels, 0)
