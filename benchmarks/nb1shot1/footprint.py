"""What a pass through the supernet amounts to: parameters and multiply-adds of what is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.nb1shot1.cell import KERNEL, OPS

if TYPE_CHECKING:
    from benchmarks.nb1shot1.supernet import Macro


@dataclass(frozen=True)
class Footprint:
    """Parameters, and multiply-adds of one image: of all that is always executed, and of each operation on one block.

    A block's operation is executed in every cell of the network.
    """

    parameters: int
    macs: int
    op_parameters: tuple[int, ...]
    op_macs: tuple[int, ...]

    def executed(self, counts: Sequence[int]) -> tuple[int, int]:
        """Parameters and multiply-adds where so many blocks execute each operation."""
        totals = ((self.parameters, self.op_parameters), (self.macs, self.op_macs))
        parameters, macs = (fixed + sum(n * one for n, one in zip(counts, each, strict=True)) for fixed, each in totals)
        return parameters, macs


def footprint(macro: Macro, blocks: int, size: int) -> Footprint:
    """Of a supernet for images of ``size`` x ``size``."""
    parameters, macs = 9 * macro.channels * macro.width + 2 * macro.width, size * size * 9 * macro.channels * macro.width
    op_parameters, op_macs = [0] * len(OPS), [0] * len(OPS)
    inputs = macro.width
    for stack in range(macro.stacks):
        channels = macro.width << stack
        part = channels // macro.partial
        if stack:
            size = size // 2 + 1
        for _ in range(macro.depth):
            projected = 2 * blocks * channels
            parameters += inputs * projected + 2 * projected
            macs += size * size * inputs * projected
            for op, kernel in KERNEL.items():
                weights = kernel * kernel * part * part
                op_parameters[op] += weights + 2 * part
                op_macs[op] += size * size * weights
            inputs = blocks * channels
    last = macro.width << (macro.stacks - 1)
    parameters += inputs * last + (last + 1) * macro.classes
    macs += size * size * inputs * last + last * macro.classes
    return Footprint(parameters, macs, tuple(op_parameters), tuple(op_macs))
