"""The NAS-Bench-201 supernet: one network in which every edge holds every operation.

The mathematics is a weighted sum over operations on each edge. The work is shared: one ReLU and one pooling per source node,
and the convolutions of all edges that leave a node in one call per kernel; the weight of an operation is the scale of the
batch norm that ends it. Operations without weight are not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.nb201.macro import STAGES, Macro
from benchmarks.nb201.network import BN_EPS, BN_MOMENTUM, CONV1, CONV3, KERNEL, NONE, POOL, SKIP, ConvNorm, Reduction, pool3
from benchmarks.nb201.space import EDGES, OPS
from harness.problem import Arch
from harness.weight_sharing import Active, Decision, Metered

LEAVING = tuple(tuple(edge for edge, (_, source) in enumerate(EDGES) if source == node) for node in range(3))
"""The edges that leave each node."""

Pass = Callable[[Sequence[int], float, bool], None]
"""Told of each pass: how many edges execute each operation (in the order of ``OPS``), how many images, whether in training.

Where the cells of the network differ, told of each of them with its share of the images."""


class Supernet(Metered):
    """See :class:`harness.weight_sharing.Supernet`; one decision, ``operations``: six rows, the edges.

    Args:
        macro: the network around the cells; its ``affine`` is of the norms inside the cells.
        none: whether ``none`` is one of the options.
        track: whether norms keep running statistics, used in evaluation; else every batch is normalised by itself.
        bias: whether the cells' convolutions have a bias (D-01).
        seed: of the initial weights.
        charge: told of every pass.
    """

    def __init__(
        self,
        macro: Macro,
        *,
        none: bool = True,
        track: bool = False,
        bias: bool = False,
        seed: int = 0,
        charge: Pass = lambda counts, images, training: None,
    ) -> None:
        self.ops = tuple(range(len(OPS))) if none else tuple(range(1, len(OPS)))
        targets = tuple(target for target, _ in EDGES)
        self.decisions = (Decision("operations", len(EDGES), tuple(OPS[op] for op in self.ops), targets=targets),)
        self.module = _Module(macro, track, bias)
        _initialise(self.module, seed)
        self.cells = STAGES * macro.depth
        self._charge = charge
        self._everything: Active = (tuple(tuple(range(len(self.ops))) for _ in EDGES),)

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | None = None,
        active: Active | Sequence[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        mixtures = [
            self._mixture(one, weights, straight_through)
            for one in (active if isinstance(active, list) else [cast(Active, active)])
        ]
        if self.metered:
            for mixture in mixtures:
                counts = [sum(row.count(op) for row in mixture.run) for op in range(len(OPS))]
                self._charge(counts, len(images) / len(mixtures), torch.is_grad_enabled())
        logits: Tensor = self.module(images, mixtures)
        return logits

    def _mixture(self, active: Active | None, weights: Sequence[Tensor] | None, straight_through: bool) -> Mixture:
        mixture = Mixture([tuple(self.ops[option] for option in row) for row in (active or self._everything)[0]])
        if weights is not None:
            mixture.per_image = weights[0].dim() == 3
            each = iter(weights[0].flatten(-2).unbind(-1))  # at once: the gradients of single entries would be added one by one
            mixture.weight = [{op: next(each) for op in self.ops} for _ in EDGES]
            if straight_through:
                idle = (
                    [w for op, w in one.items() if op not in run] for one, run in zip(mixture.weight, mixture.run, strict=True)
                )
                mixture.idle = [torch.stack(some).sum(0) if some else None for some in idle]
        return mixture

    def only(self, arch: Arch) -> Active:
        options = tuple((op - self.ops[0],) for op in arch)
        if min(options) < (0,):
            raise ValueError(f"{arch} has an edge without operation, and this supernet has no 'none'")
        return (options,)

    def holding(self, active: Active) -> Arch:
        """The inverse of :meth:`only`; an edge that executes nothing is ``none``. Raises ValueError for two on an edge."""
        if any(len(row) > 1 for row in active[0]):
            raise ValueError(f"{active[0]} executes several operations on an edge, which no cell of NAS-Bench-201 does")
        return tuple(self.ops[row[0]] if row else NONE for row in active[0])

    def derive(self, scores: Sequence[Any]) -> Arch:
        """On each edge the operation with the highest score, the first of equals; ``none`` where no score is above zero."""
        table = np.asarray(torch.as_tensor(scores[0]).detach().cpu())
        return tuple(self.ops[int(row.argmax())] if row.max() > 0 else NONE for row in table)

    def shared_with(self, arch: Arch) -> Mapping[str, Tensor]:
        """The weights of the stand-alone :class:`benchmarks.nb201.network.Network` of ``arch``, by its names."""
        return self.module.shared_with(arch)


@dataclass
class Mixture:
    """One pass: per edge, what is executed (operations, in the order of ``OPS``) and with which weight."""

    run: Sequence[tuple[int, ...]]
    weight: Sequence[Mapping[int, Tensor]] | None = None
    """None: one for everything that is executed."""
    per_image: bool = False
    """Weights are (batch,) instead of numbers."""
    idle: Sequence[Tensor | None] | None = None
    """Per edge, the sum of the weights that enter as numbers (straight-through)."""
    _gains: dict[tuple[tuple[int, ...], int, int], Tensor] = field(default_factory=dict)

    def of(self, edge: int, op: int) -> Tensor | None:
        """What multiplies an image, None for one."""
        if self.weight is None:
            return None
        weight = self.weight[edge][op]
        return weight.view(-1, 1, 1, 1) if self.per_image else weight

    def gain(self, edges: tuple[int, ...], op: int, channels: int) -> Tensor | None:
        """The weights of an operation on some edges as the scale of a norm, None where they are none; cells share it."""
        if self.weight is None or self.per_image:
            return None
        key = edges, op, channels
        if key not in self._gains:
            weights = torch.stack([self.weight[edge][op] for edge in edges])
            self._gains[key] = weights.repeat_interleave(channels)
        return self._gains[key]


class _Sums:
    """The values of a cell's nodes, as what enters them comes in. Sums that nobody else holds grow in place."""

    def __init__(self, x: Tensor) -> None:
        self._values: list[Tensor | None] = [x, None, None, None]
        self._own = [False] * 4
        self._like = x

    def __getitem__(self, node: int) -> Tensor:
        value = self._values[node]
        return torch.zeros_like(self._like) if value is None else value

    def add(self, node: int, term: Tensor, weight: Tensor | None = None) -> None:
        """Adds ``weight * term``; a number as a term is added everywhere."""
        before = self._values[node]
        if before is None:
            whole = term.dim() > 0
            value = (term if whole else term.expand_as(self._like)) if weight is None else term * weight
            self._values[node], self._own[node] = value, weight is not None
        elif weight is None:
            self._values[node] = before.add_(term) if self._own[node] else before + term
            self._own[node] = True
        else:
            self._values[node] = before.addcmul_(term, weight) if self._own[node] else torch.addcmul(before, term, weight)
            self._own[node] = True


class _Edges(nn.Module):
    """The convolutions of one kernel on all edges that leave a node."""

    def __init__(self, edges: tuple[int, ...], op: int, channels: int, affine: bool, track: bool, bias: bool) -> None:
        super().__init__()
        self.edges, self.op, self.channels = edges, op, channels
        total, kernel = len(edges) * channels, KERNEL[op]
        self.weight = nn.Parameter(torch.empty(total, channels, kernel, kernel).contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.empty(total)) if bias else None
        self.scale = nn.Parameter(torch.ones(total)) if affine else None
        self.shift = nn.Parameter(torch.zeros(total)) if affine else None
        self.mean: Tensor | None
        self.variance: Tensor | None
        self.register_buffer("mean", torch.zeros(total) if track else None)
        self.register_buffer("variance", torch.ones(total) if track else None)

    def forward(self, x: Tensor, mixture: Mixture) -> list[tuple[tuple[int, ...], Tensor]]:
        """(edges, outputs side by side) for the edges that execute this operation; ``x`` is rectified.

        Outputs are weighted unless weights are of each image.
        """
        wanted = [position for position, edge in enumerate(self.edges) if self.op in mixture.run[edge]]
        if len(wanted) == len(self.edges):
            return [(self.edges, self._together(x, mixture, 0, len(wanted)))]
        return [((self.edges[position],), self._together(x, mixture, position, 1)) for position in wanted]

    def _together(self, x: Tensor, mixture: Mixture, start: int, count: int) -> Tensor:
        """The edges from number ``start`` on, in one call."""
        c, edges = self.channels, self.edges[start : start + count]
        at = slice(start * c, (start + count) * c)
        mean = None if self.mean is None else self.mean[at]
        variance = None if self.variance is None else self.variance[at]
        y = F.conv2d(x, self.weight[at], None if self.bias is None else self.bias[at], padding=KERNEL[self.op] // 2)
        scale = None if self.scale is None else self.scale[at]
        shift = None if self.shift is None else self.shift[at]
        gain = mixture.gain(edges, self.op, c)
        if gain is not None:
            scale = gain if scale is None else scale * gain
            shift = None if shift is None else shift * gain
        return F.batch_norm(y, mean, variance, scale, shift, self.training or mean is None, BN_MOMENTUM, BN_EPS)


class _Cell(nn.Module):
    """One cell with everything in it."""

    def __init__(self, channels: int, affine: bool, track: bool, bias: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.ModuleList(_Edges(edges, op, channels, affine, track, bias) for op in (CONV3, CONV1)) for edges in LEAVING
        )

    def forward(self, x: Tensor, mixture: Mixture) -> Tensor:
        nodes = _Sums(x)
        for source, edges in enumerate(LEAVING):
            executed = {op for edge in edges for op in mixture.run[edge]}
            idle = mixture.idle or [None] * len(EDGES)
            if not executed and not any(idle[edge] is not None for edge in edges):
                continue
            value = nodes[source]
            if executed & KERNEL.keys():
                self._convolve(F.relu(value), source, mixture, nodes)
            pooled = pool3(value) if POOL in executed else value
            for edge in edges:
                target = EDGES[edge][0]
                for op, plain in ((SKIP, value), (POOL, pooled)):
                    if op in mixture.run[edge]:
                        nodes.add(target, plain, mixture.of(edge, op))
                number = idle[edge]
                if number is not None:
                    nodes.add(target, number)
        return nodes[3]

    def _convolve(self, rectified: Tensor, source: int, mixture: Mixture, nodes: _Sums) -> None:
        """Adds what the convolutions of a node give to the nodes that they enter."""
        found: dict[tuple[int, ...], Tensor] = {}
        for conv in cast(Sequence[_Edges], self.convs[source]):
            for edges, y in conv(rectified, mixture):
                if mixture.per_image:
                    for edge, piece in zip(edges, torch.split(y, conv.channels, 1), strict=True):
                        nodes.add(EDGES[edge][0], piece, mixture.of(edge, conv.op))
                else:
                    found[edges] = found[edges].add_(y) if edges in found else y  # both kernels side by side
        for edges, y in found.items():
            for edge, piece in zip(edges, torch.split(y, y.shape[1] // len(edges), 1), strict=True):
                nodes.add(EDGES[edge][0], piece)


class _Module(nn.Module):
    """The whole network; names of what lies outside the cells are those of :class:`benchmarks.nb201.network.Network`."""

    def __init__(self, macro: Macro, track: bool, bias: bool) -> None:
        super().__init__()
        self.macro = macro
        self.stem = ConvNorm(macro.channels, macro.width, macro.stem, relu=False)
        self.stages = nn.ModuleList(
            nn.ModuleList(_Cell(macro.stage(stage)[0], macro.affine, track, bias) for _ in range(macro.depth))
            for stage in range(STAGES)
        )
        self.reductions = nn.ModuleList(
            Reduction(macro.stage(number)[0], macro.reduction == "residual") for number in range(STAGES - 1)
        )
        last = macro.stage(STAGES - 1)[0]
        self.norm = nn.BatchNorm2d(last, BN_EPS, BN_MOMENTUM)
        self.classifier = nn.Linear(last, macro.classes)
        if not track:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.track_running_stats = False
                    module.running_mean = module.running_var = module.num_batches_tracked = None

    def forward(self, x: Tensor, mixtures: Sequence[Mixture]) -> Tensor:
        """With one mixture for all cells, or one for each."""
        of_cell = cycle(mixtures)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for number, cells in enumerate(self.stages):
            if number:
                x = self.reductions[number - 1](x)
            for cell in cast(Sequence[_Cell], cells):
                x = cell(x, next(of_cell))
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean((2, 3)))
        return logits

    def shared_with(self, arch: Arch) -> dict[str, Tensor]:
        """The parameters of the stand-alone network of ``arch``, by its names."""
        found: dict[str, Tensor] = {n: value for n, value in self.named_parameters() if not n.startswith("stages.")}
        for stage, cells in enumerate(self.stages):
            for depth, cell in enumerate(cast(Sequence[_Cell], cells)):
                for conv in (one for one in cell.convs.modules() if isinstance(one, _Edges)):
                    for position, edge in enumerate(conv.edges):
                        if arch[edge] != conv.op:
                            continue
                        at = slice(position * conv.channels, (position + 1) * conv.channels)
                        name = f"stages.{stage}.{depth}.{edge}"
                        found[f"{name}.conv.weight"] = conv.weight[at]
                        if conv.scale is not None and conv.shift is not None:
                            found[f"{name}.norm.weight"], found[f"{name}.norm.bias"] = conv.scale[at], conv.shift[at]
        return found


def _initialise(module: nn.Module, seed: int) -> None:
    """PyTorch's default initialisation from a generator of its own: uniform within 1/sqrt(fan-in)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            if "norm" in name or name.endswith(("scale", "shift")):
                continue
            weight = cast(Tensor, module.get_submodule(name.rpartition(".")[0]).weight)
            bound = weight[0].numel() ** -0.5
            value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * bound)
