"""The NAS-Bench-1Shot1 supernet: operations sit on choice blocks, inputs of blocks and of the output are weighted.

As the paper's code has it (NB1SHOT1 section 3): a 3x3 stem, three stacks of three cells, between stacks a 2x2 max pooling and
twice the channels. A cell projects its input once per block and once to the width of its output by 1x1 convolutions; all of
these are one call here. Every convolution is followed by batch norm and ReLU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.nb1shot1.cell import KERNEL, MAXPOOL, OPS
from benchmarks.nb1shot1.space import SHORT_OPS, NB1Shot1Space
from harness.space import Arch
from harness.weight_sharing import Active, Decision, Metered

BN_EPS, BN_MOMENTUM = 1e-5, 0.997
"""The momentum is TensorFlow's number given to PyTorch, as in the paper's code: statistics are those of the last batch."""

Pass = Callable[[Active, float, bool], None]
"""Told of each pass: what it executes, how many images, whether in training."""


@dataclass(frozen=True)
class Macro:
    """Everything about the supernet that is not the cell; the defaults are the paper's for CIFAR-10."""

    width: int = 16
    channels: int = 3
    classes: int = 10
    stacks: int = 3
    depth: int = 3
    """Cells of a stack."""
    partial: int = 1
    """The mixed operation works on one channel in so many, the rest passes by, then channels are shuffled (PC-DARTS)."""
    track: bool = True
    """Norms keep running statistics for evaluation."""


class Supernet(Metered):
    """See :class:`harness.weight_sharing.Supernet`.

    Decisions: ``operations``, a row per block; ``output``, which of the input and the blocks feed it; ``inputs J`` for each
    block J with a choice, which of the input and the earlier blocks feed it. Blocks without a choice take all they may.
    """

    def __init__(
        self,
        space: NB1Shot1Space,
        macro: Macro,
        *,
        seed: int = 0,
        charge: Pass = lambda active, images, training: None,
    ) -> None:
        self._space, self.blocks = space, space.blocks
        self._chosen = [block for block, taken in enumerate(space.taken[:-1], 1) if taken < block]
        self.decisions = (
            Decision("operations", self.blocks, SHORT_OPS, targets=tuple(range(1, self.blocks + 1))),
            Decision("output", 1, _nodes(self.blocks + 1), "edge", (self.blocks + 1,), space.taken[-1]),
            *(
                Decision(f"inputs {block}", 1, _nodes(block), "edge", (block,), space.taken[block - 1])
                for block in self._chosen
            ),
        )
        self.cells = macro.stacks * macro.depth
        self.module = _Module(self.blocks, macro)
        _initialise(self.module, seed)
        self._charge = charge
        self._everything: Active = tuple(
            tuple(tuple(range(len(one.options))) for _ in range(one.rows)) for one in self.decisions
        )

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | None = None,
        active: Active | Sequence[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        run = cast(Active, active or self._everything)
        if self.metered:
            self._charge(run, len(images), torch.is_grad_enabled())
        logits: Tensor = self.module(images, self._mixtures(weights, run, straight_through))
        return logits

    def _mixtures(self, weights: Sequence[Tensor] | None, run: Active, straight_through: bool) -> list[_Block]:
        """What each block, and at last the output, does in a pass."""
        tables = dict(zip([one.name for one in self.decisions], weights or (), strict=False))
        active = dict(zip([one.name for one in self.decisions], run, strict=True))
        mixtures = []
        for node in range(1, self.blocks + 2):
            last = node == self.blocks + 1
            name = "output" if last else f"inputs {node}"
            sources = active[name][0] if name in active else tuple(range(node))
            mixtures.append(
                _Block(
                    sources,
                    tables[name][..., 0, :] if name in tables else None,
                    () if last else active["operations"][node - 1],
                    None if last or not weights else weights[0][..., node - 1, :],
                    straight_through,
                )
            )
        return mixtures

    def only(self, arch: Arch) -> Active:
        parents = self._space.parents(arch)
        operations = tuple((op,) for op in arch[-self.blocks :])
        return (operations, (parents[-1],), *((parents[block - 1],) for block in self._chosen))

    def holding(self, active: Active) -> Arch:
        """The inverse of :meth:`only`. Raises ValueError where a block does not execute exactly one operation."""
        if any(len(row) != 1 for row in active[0]):
            raise ValueError(f"{active[0]} does not execute one operation on each block")
        of_node = {self.blocks + 1: active[1][0], **{b: row[0] for b, row in zip(self._chosen, active[2:], strict=True)}}
        parents = [of_node.get(node, tuple(range(node))) for node in range(1, self.blocks + 2)]
        return self._space.arch(parents, [row[0] for row in active[0]])

    def derive(self, scores: Sequence[Any]) -> Arch:
        """The best operation of each block; of each block's inputs, and of the output's, as many of the best as it takes."""
        tables = [torch.as_tensor(table).detach().cpu() for table in scores]
        taken = self._space.taken
        parents: list[tuple[int, ...]] = []
        of_node = {self.blocks + 1: tables[1][0], **{b: table[0] for b, table in zip(self._chosen, tables[2:], strict=True)}}
        for node in range(1, self.blocks + 2):
            if node not in of_node:
                parents.append(tuple(range(node)))
            else:
                order = torch.argsort(of_node[node], descending=True, stable=True)
                parents.append(tuple(sorted(order[: taken[node - 1]].tolist())))
        return self._space.arch(parents, tables[0].argmax(1).tolist())


@dataclass(frozen=True)
class _Block:
    """One block (or the output) in a pass: which inputs and operations, with which weights (None: one)."""

    sources: tuple[int, ...]
    by_source: Tensor | None
    ops: tuple[int, ...]
    by_op: Tensor | None
    straight_through: bool

    def weighted(self, x: Tensor, source: int) -> Tensor:
        return x if self.by_source is None else x * _scale(self.by_source[..., source])


def _scale(weight: Tensor) -> Tensor:
    """A number, or one number per image."""
    return weight.view(-1, 1, 1, 1) if weight.dim() else weight


class _ConvNormRelu(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, track: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, BN_EPS, BN_MOMENTUM, track_running_stats=track)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class _Mixed(nn.Module):
    """The weighted operations of one block, on all channels or on a part of them."""

    def __init__(self, channels: int, macro: Macro) -> None:
        super().__init__()
        self.partial, self.part = macro.partial, channels // macro.partial
        self.convs = nn.ModuleDict(
            {str(op): _ConvNormRelu(self.part, self.part, kernel, macro.track) for op, kernel in KERNEL.items()}
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
        whole = torch.cat([total, x[:, self.part :]], 1)
        batch, channels, height, width = whole.shape
        return whole.view(batch, self.partial, -1, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class _Cell(nn.Module):
    def __init__(self, blocks: int, inputs: int, channels: int, macro: Macro) -> None:
        super().__init__()
        self.blocks, self.channels = blocks, channels
        # a projection of the cell's input for each block, and one as wide as the output
        self.projection = _ConvNormRelu(inputs, 2 * blocks * channels, 1, macro.track)
        self.mixed = nn.ModuleList(_Mixed(channels, macro) for _ in range(blocks))

    def forward(self, x: Tensor, mixtures: Sequence[_Block]) -> Tensor:
        *projected, passed = torch.split(self.projection(x), [self.channels] * self.blocks + [self.blocks * self.channels], 1)
        values: list[Tensor] = []
        for number, (block, mixed) in enumerate(zip(mixtures, self.mixed, strict=False)):
            nodes = [projected[number], *values]
            terms = [block.weighted(nodes[source], source) for source in block.sources]
            values.append(mixed(sum(terms[1:], terms[0]), block))
        output = mixtures[-1]
        joined = torch.cat(
            [
                output.weighted(value, node) if node in output.sources else torch.zeros_like(value)
                for node, value in enumerate(values, 1)
            ],
            1,
        )
        return joined + output.weighted(passed, 0) if 0 in output.sources else joined


class _Module(nn.Module):
    def __init__(self, blocks: int, macro: Macro) -> None:
        super().__init__()
        width, self.depth = macro.width, macro.depth
        self.stem = _ConvNormRelu(macro.channels, width, 3, macro.track)
        self.cells = nn.ModuleList()
        inputs = width
        for stack in range(macro.stacks):
            channels = width << stack
            for _ in range(macro.depth):
                self.cells.append(_Cell(blocks, inputs, channels, macro))
                inputs = blocks * channels
        last = width << (macro.stacks - 1)
        self.last = nn.Conv2d(inputs, last, 1, bias=False)
        self.norm = nn.BatchNorm2d(last, BN_EPS, BN_MOMENTUM, affine=False, track_running_stats=macro.track)
        self.classifier = nn.Linear(last, macro.classes)

    def forward(self, x: Tensor, mixtures: Sequence[_Block]) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for number, cell in enumerate(self.cells):
            if number and number % self.depth == 0:
                x = F.max_pool2d(x, 2, 2, 1)
            x = cell(x, mixtures)
        x = self.norm(self.last(F.relu(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _nodes(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _initialise(module: nn.Module, seed: int) -> None:
    """PyTorch's default initialisation from a generator of its own: uniform within 1/sqrt(fan-in)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                bound = part.weight[0].numel() ** -0.5
                for value in part.parameters():
                    value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * bound)
                if isinstance(part, nn.Conv2d):
                    part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
