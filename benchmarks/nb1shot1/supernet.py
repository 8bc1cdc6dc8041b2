"""The NAS-Bench-1Shot1 supernet: operations are on choice blocks; the inputs of blocks and of the output are weighted.

The network is that of the paper's code (NB1SHOT1 section 3): a 3x3 stem and three stacks of three cells. Between stacks there
are a 2x2 max pooling and twice the channels. A cell projects its input once per block, and once to the width of its output,
by 1x1 convolutions that are one call here. Every convolution is followed by batch norm and ReLU.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.nb1shot1.cell import KERNEL, MAXPOOL, OPS
from benchmarks.nb1shot1.network import BN_EPS, ConvNormRelu
from benchmarks.nb1shot1.space import SHORT_OPS, NB1Shot1Space
from benchmarks.networks import SupernetBase, channels_last, drop_statistics, free
from harness.space import Arch
from harness.training import Meter
from harness.weight_sharing import Active, Decision, ranked

BN_MOMENTUM = 0.997
"""The paper's code passes TensorFlow's momentum to PyTorch, so the statistics are those of the last batch. The last norm of the
network is none of TensorFlow's: it has PyTorch's own momentum, 0.1."""

Pass = Callable[[Sequence[Active], int, bool, Meter], None]
"""Charge for one pass: the executed options, of all cells or of each cell; the number of images; training or not."""


@dataclass(frozen=True)
class SearchMacro:
    """The supernet without the cell. The defaults are the paper's for CIFAR-10."""

    width: int = 16
    """Channels of the first stack."""
    channels: int = 3
    """Channels of the input images."""
    classes: int = 10
    stacks: int = 3
    depth: int = 3
    """Cells per stack."""
    partial: int = 1
    """The mixed operation works on one of this many channels; the rest passes by, then channels are shuffled (PC-DARTS)."""
    track: bool = True
    """Norms keep running statistics for evaluation."""


class Supernet(SupernetBase["_Cell"]):
    """See :class:`harness.weight_sharing.Supernet`.

    Decisions: ``operations``, one row per block; ``output``, which of the input and the blocks feed the output; and
    ``inputs J`` for each block J with a choice, which of the input and the earlier blocks feed it. A block without a choice
    takes all its possible inputs.

    Args:
        space: one of the three spaces.
        macro: the network around the cells.
        seed: seed of the initial weights.
        charge: charge for one pass to a meter.
        meter: the meter of the search.
    """

    recordable = True

    def __init__(
        self,
        space: NB1Shot1Space,
        macro: SearchMacro,
        *,
        seed: int = 0,
        charge: Pass = lambda cells, images, training, meter: None,
        meter: Meter = free,
    ) -> None:
        self._space, self.blocks = space, space.blocks
        self._choosing = [block for block, taken in enumerate(space.taken[:-1], 1) if taken < block]
        decisions = (
            Decision("operations", self.blocks, SHORT_OPS, targets=tuple(range(1, self.blocks + 1))),
            Decision("output", 1, _nodes(self.blocks + 1), "edge", (self.blocks + 1,), space.taken[-1]),
            *(
                Decision(f"inputs {block}", 1, _nodes(block), "edge", (block,), space.taken[block - 1])
                for block in self._choosing
            ),
        )
        self._network = _Network(self.blocks, macro)
        super().__init__(decisions, self._network, macro.stacks * macro.depth, seed, meter)
        channels_last(self._network)
        self._charge = charge

    def _cell(self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device) -> _Cell:
        names = [decision.name for decision in self.decisions]
        tables = dict(zip(names, weights or (), strict=False))
        options = dict(zip(names, active, strict=True))
        blocks = []
        for node in range(1, self.blocks + 2):
            last = node == self.blocks + 1
            name = "output" if last else f"inputs {node}"
            sources = options[name][0] if name in options else tuple(range(node))
            blocks.append(
                _Block(
                    sources,
                    tables[name][..., 0, :] if name in tables else None,
                    () if last else options["operations"][node - 1],
                    None if last or not weights else weights[0][..., node - 1, :],
                    straight_through,
                )
            )
        return _Cell(active, blocks)

    def _pay(self, cells: Sequence[_Cell], images: int, training: bool, meter: Meter) -> None:
        self._charge([cell.active for cell in cells], images, training, meter)

    def _logits(self, images: Tensor, cells: Sequence[_Cell]) -> Tensor:
        logits: Tensor = self._network(images, cells)
        return logits

    def active_for(self, arch: Arch) -> Active:
        """See the contract."""
        parents = self._space.parents(arch)
        operations = tuple((op,) for op in arch[-self.blocks :])
        return (operations, (parents[-1],), *((parents[block - 1],) for block in self._choosing))

    def arch_of(self, active: Active) -> Arch:
        """See the contract.

        Raises:
            ValueError: a block does not execute exactly one operation.
        """
        if any(len(row) != 1 for row in active[0]):
            raise ValueError(f"{active[0]} does not execute one operation on each block")
        chosen = {block: row[0] for block, row in zip(self._choosing, active[2:], strict=True)}
        chosen[self.blocks + 1] = active[1][0]
        parents = [chosen.get(node, tuple(range(node))) for node in range(1, self.blocks + 2)]
        return self._space.arch(parents, [row[0] for row in active[0]])

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        """Return the best operation of each block, and the best inputs of each block and of the output.

        A node takes as many inputs as the space prescribes.
        """
        operations, output, *inputs = (torch.as_tensor(table).tolist() for table in scores)
        chosen = {block: table[0] for block, table in zip(self._choosing, inputs, strict=True)}
        chosen[self.blocks + 1] = output[0]
        ops = [ranked(row, rng)[0] for row in operations]
        parents: list[tuple[int, ...]] = []
        for node, taken in enumerate(self._space.taken, 1):
            order = ranked(chosen[node], rng) if node in chosen else range(node)
            parents.append(tuple(sorted(order[:taken])))
        return self._space.arch(parents, ops)


@dataclass(frozen=True)
class _Block:
    """Inputs and operations of one block, or of the output, in a pass, with their weights (None: weight 1)."""

    sources: tuple[int, ...]
    by_source: Tensor | None
    ops: tuple[int, ...]
    by_op: Tensor | None
    straight_through: bool

    def weighted(self, x: Tensor, source: int) -> Tensor:
        """Return ``x``, the value of an input, times the weight of that input."""
        return x if self.by_source is None else x * _scale(self.by_source[..., source])


class _Cell(NamedTuple):
    """Blocks and output of a cell in one pass."""

    active: Active
    blocks: list[_Block]
    """The blocks, and the output at the end."""


def _scale(weight: Tensor) -> Tensor:
    """Return a weight, a number or (batch,), in a shape that multiplies images."""
    return weight.view(-1, 1, 1, 1) if weight.dim() else weight


class _Mixed(nn.Module):
    """The weighted operations of one block, on all channels or on a part of them."""

    def __init__(self, channels: int, macro: SearchMacro) -> None:
        super().__init__()
        self.partial, self.part = macro.partial, channels // macro.partial
        self.convs = nn.ModuleDict(
            {str(op): ConvNormRelu(self.part, self.part, kernel, BN_MOMENTUM) for op, kernel in KERNEL.items()}
        )

    def forward(self, x: Tensor, block: _Block) -> Tensor:
        inputs = x[:, : self.part]
        total: Tensor | None = None
        for op in block.ops:
            y = F.max_pool2d(inputs, 3, 1, 1) if op == MAXPOOL else self.convs[str(op)](inputs)
            y = y if block.by_op is None else y * _scale(block.by_op[..., op])
            total = y if total is None else total + y
        if total is None:
            total = torch.zeros_like(inputs)
        if block.straight_through and block.by_op is not None:
            total = total + sum(_scale(block.by_op[..., op]) for op in range(len(OPS)) if op not in block.ops)
        if self.partial == 1:
            return total
        joined = torch.cat([total, x[:, self.part :]], 1)
        batch, channels, height, width = joined.shape
        return joined.view(batch, self.partial, -1, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class _CellModule(nn.Module):
    def __init__(self, blocks: int, inputs: int, channels: int, macro: SearchMacro) -> None:
        super().__init__()
        self.blocks, self.channels = blocks, channels
        # a projection of the cell's input for each block, and one as wide as the output
        self.projection = ConvNormRelu(inputs, 2 * blocks * channels, 1, BN_MOMENTUM)
        self.mixed = nn.ModuleList(_Mixed(channels, macro) for _ in range(blocks))

    def forward(self, x: Tensor, blocks: Sequence[_Block]) -> Tensor:
        *projected, passed = torch.split(self.projection(x), [self.channels] * self.blocks + [self.blocks * self.channels], 1)
        values: list[Tensor] = []
        for number, (block, mixed) in enumerate(zip(blocks, self.mixed, strict=False)):
            nodes = [projected[number], *values]
            terms = [block.weighted(nodes[source], source) for source in block.sources]
            values.append(mixed(sum(terms[1:], terms[0]), block))
        output = blocks[-1]
        joined = torch.cat(
            [
                output.weighted(value, node) if node in output.sources else torch.zeros_like(value)
                for node, value in enumerate(values, 1)
            ],
            1,
        )
        return joined + output.weighted(passed, 0) if 0 in output.sources else joined


class _Network(nn.Module):
    def __init__(self, blocks: int, macro: SearchMacro) -> None:
        super().__init__()
        width, self.depth = macro.width, macro.depth
        self.stem = ConvNormRelu(macro.channels, width, 3, BN_MOMENTUM)
        self.cells = nn.ModuleList()
        inputs = width
        for stack in range(macro.stacks):
            channels = width << stack
            for _ in range(macro.depth):
                self.cells.append(_CellModule(blocks, inputs, channels, macro))
                inputs = blocks * channels
        last = width << (macro.stacks - 1)
        self.last = nn.Conv2d(inputs, last, 1, bias=False)
        self.norm = nn.BatchNorm2d(last, BN_EPS, affine=False)
        self.classifier = nn.Linear(last, macro.classes)
        if not macro.track:
            drop_statistics(self)

    def forward(self, x: Tensor, cells: Sequence[_Cell]) -> Tensor:
        """Return the logits. ``cells`` has one entry for all cells, or one for each."""
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for number, (module, cell) in enumerate(zip(self.cells, cycle(cells), strict=False)):
            if number and number % self.depth == 0:
                x = F.max_pool2d(x, 2, 2, 1)
            x = module(x, cell.blocks)
        x = self.norm(self.last(F.relu(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _nodes(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
