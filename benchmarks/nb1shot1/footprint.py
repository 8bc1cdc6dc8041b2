"""Multiply-adds of a pass through the supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.nb1shot1.cell import KERNEL, OPS
from harness.weight_sharing import Active

if TYPE_CHECKING:
    from benchmarks.nb1shot1.supernet import SearchMacro


@dataclass(frozen=True)
class Footprint:
    """Multiply-adds of one image."""

    macs: int
    """Of the layers that every pass executes."""
    op_macs: tuple[tuple[int, ...], ...]
    """For each cell of the network, of each operation on one block."""

    def macs_of(self, cells: Sequence[Active]) -> int:
        """Return the multiply-adds of a pass that executes these options, of all cells or of each cell."""
        ops = (sum(macs[op] for row in cell[0] for op in row) for cell, macs in zip(cycle(cells), self.op_macs, strict=False))
        return self.macs + sum(ops)


def footprint(macro: SearchMacro, blocks: int, size: int) -> Footprint:
    """Return the multiply-adds of a supernet for images of ``size`` x ``size`` pixels."""
    macs = size * size * 9 * macro.channels * macro.width
    op_macs = []
    inputs = macro.width
    for stack in range(macro.stacks):
        channels = macro.width << stack
        part = channels // macro.partial
        if stack:
            size = size // 2 + 1
        for _ in range(macro.depth):
            macs += size * size * inputs * 2 * blocks * channels
            kernels = [KERNEL.get(op, 0) for op in range(len(OPS))]
            op_macs.append(tuple(size * size * kernel * kernel * part * part for kernel in kernels))
            inputs = blocks * channels
    last = macro.width << (macro.stacks - 1)
    macs += size * size * inputs * last + last * macro.classes
    return Footprint(macs, tuple(op_macs))
