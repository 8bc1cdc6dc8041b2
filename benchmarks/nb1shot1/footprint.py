"""Multiply-adds of a pass through the supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.nb1shot1.cell import KERNEL, OPS

if TYPE_CHECKING:
    from benchmarks.nb1shot1.supernet import SearchMacro


@dataclass(frozen=True)
class Footprint:
    """Multiply-adds of one image: ``macs`` of the layers that every pass executes, ``op_macs`` of each operation on one block.

    The operation of a block is executed in every cell of the network.
    """

    macs: int
    op_macs: tuple[int, ...]

    def macs_of(self, counts: Sequence[int]) -> int:
        """Return the multiply-adds of a pass in which ``counts`` blocks execute each operation."""
        return self.macs + sum(n * macs for n, macs in zip(counts, self.op_macs, strict=True))


def footprint(macro: SearchMacro, blocks: int, size: int) -> Footprint:
    """Return the multiply-adds of a supernet for images of ``size`` x ``size`` pixels."""
    macs = size * size * 9 * macro.channels * macro.width
    op_macs = [0] * len(OPS)
    inputs = macro.width
    for stack in range(macro.stacks):
        channels = macro.width << stack
        part = channels // macro.partial
        if stack:
            size = size // 2 + 1
        for _ in range(macro.depth):
            macs += size * size * inputs * 2 * blocks * channels
            for op, kernel in KERNEL.items():
                op_macs[op] += size * size * kernel * kernel * part * part
            inputs = blocks * channels
    last = macro.width << (macro.stacks - 1)
    macs += size * size * inputs * last + last * macro.classes
    return Footprint(macs, tuple(op_macs))
