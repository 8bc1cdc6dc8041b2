"""The NAS-Bench-201 supernet: one network in which every edge has every operation.

A pass computes a weighted sum over the operations of each edge. The work is shared: one ReLU and one pooling per source node,
and one call per kernel for the convolutions of all edges that leave a node. The weight of a convolution is folded into the
scale of the batch norm that ends it. Operations without weight are not executed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.nb201 import fused
from benchmarks.nb201.macro import STAGES, Macro
from benchmarks.nb201.network import BN_EPS, BN_MOMENTUM, CONV1, CONV3, KERNEL, NONE, POOL, SKIP, Reduction, Skeleton, pool3
from benchmarks.nb201.space import EDGES, OPS
from benchmarks.networks import SupernetBase, drop_statistics, free
from harness.device import rounded
from harness.space import Arch
from harness.training import Meter
from harness.weight_sharing import Active, Decision, ranked

LEAVING = tuple(tuple(edge for edge, (_, source) in enumerate(EDGES) if source == node) for node in range(3))
"""The edges that leave each node."""

Pass = Callable[[Sequence[int], float, bool, Meter], None]
"""Charge to a meter for one pass: number of edges that execute each operation (in the order of ``OPS``), images, training.

If the cells of the network differ, it is called for each of them with its share of the images."""


class Supernet(SupernetBase["Mixture"]):
    """See :class:`harness.weight_sharing.Supernet`. One decision, ``operations``, with six rows: the edges.

    Args:
        macro: the network around the cells; its ``affine`` applies to the norms inside the cells.
        none: ``none`` is one of the options.
        track: the norms inside the cells keep running statistics for evaluation; if False, they normalise every batch by its
            own statistics.
        track_outside: the norms outside the cells keep running statistics, even if those inside do not (D-53).
        plain_last: the last norm is like those inside the cells: it has scale, shift and statistics only if they do (D-54).
        bias: the convolutions of the cells have a bias (D-01).
        normed: norms without scale also follow poolings, skip connections and cells. They cost nothing.
        seed: seed of the initial weights.
        charge: charge for one pass to a meter.
        meter: the meter of the search.
    """

    recordable = True

    def __init__(
        self,
        macro: Macro,
        *,
        none: bool = True,
        track: bool = False,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        normed: bool = False,
        seed: int = 0,
        charge: Pass = lambda counts, images, training, meter: None,
        meter: Meter = free,
    ) -> None:
        self.ops = tuple(range(len(OPS))) if none else tuple(range(1, len(OPS)))
        targets = tuple(target for target, _ in EDGES)
        operations = Decision("operations", len(EDGES), tuple(OPS[op] for op in self.ops), targets=targets)
        self._network = _Network(macro, track, bias, normed, track_outside, plain_last)
        super().__init__((operations,), self._network, STAGES * macro.depth, seed, meter)
        self._charge = charge

    def _cell(self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device) -> Mixture:
        mixture = Mixture(tuple(tuple(self.ops[option] for option in row) for row in active[0]))
        mixture.first, mixture.through = self.ops[0], straight_through
        if weights is not None:
            mixture.per_image = weights[0].dim() == 3
            mixture.table = weights[0]
            # the precision of images: numbers in float32 would make sums float32, and weights of operations would differ in it
            table = rounded(weights[0])
            # unbind once: the gradients of entries taken one by one would be added one by one
            entries = iter(table.flatten(-2).unbind(-1))
            mixture.weight = [{op: next(entries) for op in self.ops} for _ in EDGES]
            if straight_through:
                idle = (
                    [weight for op, weight in by_op.items() if op not in run]
                    for by_op, run in zip(mixture.weight, mixture.run, strict=True)
                )
                mixture.idle = [torch.stack(edge).sum(0) if edge else None for edge in idle]
        return mixture

    def _pay(self, cells: Sequence[Mixture], images: int, training: bool, meter: Meter) -> None:
        for mixture in cells:
            counts = [sum(row.count(op) for row in mixture.run) for op in range(len(OPS))]
            self._charge(counts, images / len(cells), training, meter)

    def _logits(self, images: Tensor, cells: Sequence[Mixture]) -> Tensor:
        logits: Tensor = self._network(images, cells)
        return logits

    def active_for(self, arch: Arch) -> Active:
        """See the contract.

        Raises:
            ValueError: an edge of ``arch`` is ``none``, and this supernet has no ``none``.
        """
        options = tuple((op - self.ops[0],) for op in arch)
        if min(options) < (0,):
            raise ValueError(f"{arch} has an edge without operation, and this supernet has no 'none'")
        return (options,)

    def arch_of(self, active: Active) -> Arch:
        """See the contract. An edge that executes nothing is ``none``.

        Raises:
            ValueError: an edge executes two operations.
        """
        if any(len(row) > 1 for row in active[0]):
            raise ValueError(f"{active[0]} executes several operations on an edge, which no cell of NAS-Bench-201 does")
        return tuple(self.ops[row[0]] if row else NONE for row in active[0])

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        """Return the operation with the highest score on each edge; ``none`` if no score is above zero."""
        table = torch.as_tensor(scores[0]).tolist()
        best = [ranked(row, rng)[0] for row in table]
        return tuple(self.ops[option] if row[option] > 0 else NONE for row, option in zip(table, best, strict=True))

    def shared_with(self, arch: Arch) -> Mapping[str, Tensor]:
        """Return the weights of ``arch``, named as in the stand-alone :class:`benchmarks.nb201.network.Network`."""
        return self._network.shared_with(arch)


@dataclass
class Mixture:
    """Operations that a cell executes in one pass, with their weights."""

    run: tuple[tuple[int, ...], ...]
    """For each edge, the executed operations in the order of ``OPS``."""
    weight: Sequence[Mapping[int, Tensor]] | None = None
    """For each edge, the weight of each operation. None: weight 1."""
    per_image: bool = False
    """True if weights are (batch,) instead of numbers."""
    idle: Sequence[Tensor | None] | None = None
    """For each edge, the sum of the weights that enter as numbers (straight-through)."""
    table: Tensor | None = None
    """The same weights as they were passed, (edges, options)."""
    first: int = 0
    """The operation of the first option: 0, or 1 without ``none``."""
    through: bool = False
    """Straight-through: an operation that is not executed has the gradient of a number that is added."""
    _gains: dict[tuple[tuple[int, ...], int, int], Tensor] = field(default_factory=dict)

    def of(self, edge: int, op: int) -> Tensor | None:
        """Return the factor of an operation's output; None if the factor is 1."""
        if self.weight is None:
            return None
        weight = self.weight[edge][op]
        return weight.view(-1, 1, 1, 1) if self.per_image else weight

    def gain(self, edges: tuple[int, ...], op: int, channels: int) -> Tensor | None:
        """Return the weights of an operation on some edges as the scale of a norm, cached for all cells.

        Return None if the pass has no weights, or weights for each image.
        """
        if self.weight is None or self.table is None or self.per_image:
            return None
        key = edges, op, channels
        if key not in self._gains:
            weights = torch.stack([self.weight[edge][op] for edge in edges])
            self._gains[key] = weights.repeat_interleave(channels).to(self.table.dtype)
        return self._gains[key]


class _Sums:
    """The values of a cell's nodes while terms are added. A sum that no other tensor shares grows in place."""

    def __init__(self, x: Tensor) -> None:
        self._values: list[Tensor | None] = [x, None, None, None]
        self._own = [False] * 4
        self._like = x

    def __getitem__(self, node: int) -> Tensor:
        value = self._values[node]
        return torch.zeros_like(self._like) if value is None else value

    def add(self, node: int, term: Tensor, weight: Tensor | None = None) -> None:
        """Add ``weight * term`` to a node. A scalar term is added to every entry."""
        before = self._values[node]
        if before is None:
            value = (term if term.dim() > 0 else term.expand_as(self._like)) if weight is None else term * weight
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
        """Return pairs (edges, their outputs side by side in channels) of the edges that execute this operation.

        Outputs are weighted, unless each image has its own weights.

        Args:
            x: the rectified source node.
        """
        executing = [position for position, edge in enumerate(self.edges) if self.op in mixture.run[edge]]
        if len(executing) == len(self.edges):
            return [(self.edges, self._together(x, mixture, 0, len(executing)))]
        return [((self.edges[position],), self._together(x, mixture, position, 1)) for position in executing]

    def _together(self, x: Tensor, mixture: Mixture, start: int, count: int) -> Tensor:
        """Return the outputs of ``count`` edges from position ``start``, computed in one call."""
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
    """One cell with all operations on all edges.

    With ``normed`` every operation ends in a norm, and the cell does. The value of a cell then keeps its scale if the weights
    of the operations are small, as between the cells of the DARTS space.
    """

    def __init__(self, channels: int, affine: bool, track: bool, bias: bool, normed: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.ModuleList(_Edges(edges, op, channels, affine, track, bias) for op in (CONV3, CONV1)) for edges in LEAVING
        )

        def norms(count: int) -> nn.ModuleList:
            return nn.ModuleList(nn.BatchNorm2d(channels, BN_EPS, BN_MOMENTUM, False, track) for _ in range(count))

        self.norms = nn.ModuleDict({OPS[op]: norms(len(EDGES)) for op in (SKIP, POOL)} if normed else {})
        """By operation and edge, the norms after operations without weights."""
        self.last = norms(int(normed))
        """The norm after the cell."""
        self._fuses = not (affine or track or normed)
        """The cell is computed by :mod:`benchmarks.nb201.fused`. A bias has no effect: the norm of the batch removes it."""

    def forward(self, x: Tensor, mixture: Mixture) -> Tensor:
        small = x.shape[-1] <= fused.LARGEST and torch.is_grad_enabled()  # evaluation is not faster
        if small and self._fuses and not mixture.per_image and _on_processor(x):
            weights = [conv.weight for convs in self.convs for conv in cast(Sequence[_Edges], convs)]
            return fused.cell(mixture.run, x, mixture.table, mixture.first, mixture.through, weights)
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
                        nodes.add(target, self._normed(plain, edge, op) if self.norms else plain, mixture.of(edge, op))
                number = idle[edge]
                if number is not None:
                    nodes.add(target, number)
        output = nodes[3]
        for norm in self.last:
            output = norm(output)
        return output

    def _normed(self, plain: Tensor, edge: int, op: int) -> Tensor:
        """Return the output of a skip connection or a pooling with its norm."""
        norms = cast(nn.ModuleList, self.norms[OPS[op]])
        normed: Tensor = norms[edge](plain)
        return normed

    def _convolve(self, rectified: Tensor, source: int, mixture: Mixture, nodes: _Sums) -> None:
        """Run the convolutions on the edges that leave a node, and add their outputs to the nodes they enter."""
        outputs: dict[tuple[int, ...], Tensor] = {}
        for conv in cast(Sequence[_Edges], self.convs[source]):
            for edges, y in conv(rectified, mixture):
                if mixture.per_image:
                    for edge, piece in zip(edges, torch.split(y, conv.channels, 1), strict=True):
                        nodes.add(EDGES[edge][0], piece, mixture.of(edge, conv.op))
                else:
                    outputs[edges] = outputs[edges].add_(y) if edges in outputs else y
        for edges, y in outputs.items():
            for edge, piece in zip(edges, torch.split(y, y.shape[1] // len(edges), 1), strict=True):
                nodes.add(EDGES[edge][0], piece)


def _on_processor(x: Tensor) -> bool:
    """Return True if the functions of :mod:`benchmarks.nb201.fused` apply: a processor, and the type of the weights."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class _Network(Skeleton):
    """The whole network. Layers outside the cells are named as in :class:`benchmarks.nb201.network.Network`."""

    def __init__(self, macro: Macro, track: bool, bias: bool, normed: bool, track_outside: bool, plain_last: bool) -> None:
        super().__init__(macro, lambda channels: _Cell(channels, macro.affine, track, bias, normed))
        if not (track or track_outside):
            drop_statistics(self)
        if plain_last:
            last = self.norm.num_features
            self.norm = nn.BatchNorm2d(last, BN_EPS, BN_MOMENTUM, affine=macro.affine, track_running_stats=track)

    def forward(self, x: Tensor, mixtures: Sequence[Mixture]) -> Tensor:
        """Return the logits. ``mixtures`` has one entry for all cells, or one for each."""
        of_cell = cycle(mixtures)
        x = x.contiguous(memory_format=torch.channels_last)
        pointwise = self.macro.stem == 1 and _on_processor(x)
        x = self.stem.norm(fused.pointwise(x, self.stem.conv.weight)) if pointwise else self.stem(x)
        for number, cells in enumerate(self.stages):
            if number and self.macro.reduction == "pool" and _on_processor(x):
                reduction = cast(Reduction, self.reductions[number - 1])
                x = fused.pointwise(F.avg_pool2d(x, 2), reduction.shortcut.weight)
            elif number:
                x = self.reductions[number - 1](x)
            for cell in cast(Sequence[_Cell], cells):
                x = cell(x, next(of_cell))
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean((2, 3)))
        return logits

    def shared_with(self, arch: Arch) -> dict[str, Tensor]:
        """Return the parameters of ``arch``, named as in the stand-alone network."""
        values: dict[str, Tensor] = {name: value for name, value in self.named_parameters() if not name.startswith("stages.")}
        for stage, cells in enumerate(self.stages):
            for depth, cell in enumerate(cast(Sequence[_Cell], cells)):
                for conv in (module for module in cell.convs.modules() if isinstance(module, _Edges)):
                    for position, edge in enumerate(conv.edges):
                        if arch[edge] != conv.op:
                            continue
                        at = slice(position * conv.channels, (position + 1) * conv.channels)
                        name = f"stages.{stage}.{depth}.{edge}"
                        values[f"{name}.conv.weight"] = conv.weight[at]
                        if conv.scale is not None and conv.shift is not None:
                            values[f"{name}.norm.weight"], values[f"{name}.norm.bias"] = conv.scale[at], conv.shift[at]
        return values
