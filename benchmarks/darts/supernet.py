"""The DARTS supernet: one network in which every edge of every cell holds every operation.

The mathematics is DARTS' weighted sum over operations on each edge; what is shared between edges is in
:mod:`benchmarks.darts.mixed`. With partial channels (PC-DARTS) operations work on some of the channels and the rest passes by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts.cell import EDGE, EDGES, INPUTS, NODES, OPS, STATES
from benchmarks.darts.macro import STEM_WIDTH, Macro, Place, places
from benchmarks.darts.mixed import MixedEdges, added, spread
from benchmarks.darts.network import FactorizedReduce, Network, auxiliary_head
from benchmarks.darts.plan import GROUPS, Plan, plan
from benchmarks.darts.size import network_size, op_size
from harness.space import Arch
from harness.weight_sharing import Active, Decision, Metered

SEARCH = Macro(width=16, depth=8, auxiliary=False)
"""The papers' supernet for CIFAR-10."""

CELLS = ("normal", "reduce")
EVERYTHING: Arch = ((1 << len(OPS)) - 1,) * (2 * len(EDGES))

Pass = Callable[[float, int, bool], None]
"""Told of each pass: multiply-adds of an image, how many images, whether in training."""


class Supernet(Metered):
    """See :class:`harness.weight_sharing.Supernet`.

    Decisions: ``normal`` and ``reduce``, a row per edge of :data:`benchmarks.darts.cell.EDGES`; where edges are decided on too,
    ``normal 2`` to ``reduce 5``, one row each, the inputs of a node.

    Args:
        macro: the network around the cells.
        none: whether ``none`` is one of the options.
        edges: whether edges have weights of their own.
        partial: operations work on one channel in so many.
        affine: whether norms have scale and shift; in cells they then follow poolings and skip connections too.
        track: whether norms keep running statistics, used in evaluation; else every batch is normalised by itself.
        seed: of the initial weights.
        charge: told of every pass.
    """

    def __init__(
        self,
        macro: Macro = SEARCH,
        *,
        none: bool = True,
        edges: bool = False,
        partial: int = 1,
        affine: bool = False,
        track: bool = True,
        seed: int = 0,
        charge: Pass = lambda macs, images, training: None,
    ) -> None:
        self.none, self.edges, self.partial, self.cells = none, edges, partial, macro.depth
        options = ("none", *OPS) if none else OPS
        targets = tuple(target for target, _ in EDGES)
        self.decisions = tuple(Decision(kind, len(EDGES), options, targets=targets, several=True) for kind in CELLS)
        if edges:
            self.decisions += tuple(
                Decision(f"{kind} {node}", 1, tuple(map(str, range(node))), "edge", (node,))
                for kind in CELLS
                for node in range(INPUTS, STATES)
            )
        self.module = _Module(macro, partial, affine, track)
        _initialise(self.module, seed)
        self._prices = _Prices(macro, partial)
        self._charge = charge
        self._everything: Active = tuple(
            tuple(tuple(range(len(one.options))) for _ in range(one.rows)) for one in self.decisions
        )
        self.drop_path = 0.0
        """Probability that an operation's output is dropped in training, for each image by itself; identities stay."""
        self.auxiliary: Tensor | None = None
        """Logits of the auxiliary head in the last pass of training, where the network has one."""

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | None = None,
        active: Active | Sequence[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        runs = [
            self._mixtures(one or self._everything, weights, straight_through, images.device)
            for one in (active if isinstance(active, list) else [cast(Active | None, active)])
        ]
        if self.metered:
            self._charge(self._prices(runs), len(images), torch.is_grad_enabled())
        found: tuple[Tensor, Tensor | None] = self.module(images, runs, self.drop_path if self.module.training else 0.0)
        logits, self.auxiliary = found
        return logits

    def _mixtures(
        self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device
    ) -> tuple[Mixture, Mixture]:
        """Of the normal and of the reduction cell."""
        normal, reduce = (self._mixture(kind, active, weights, straight_through, device) for kind in range(len(CELLS)))
        return normal, reduce

    def _mixture(
        self, kind: int, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device
    ) -> Mixture:
        first = int(self.none)
        rows = active[kind]
        if self.edges:
            taken = [row for rows in active[2 + kind * NODES : 2 + (kind + 1) * NODES] for row in rows]
            rows = tuple(row if s in taken[t - INPUTS] else () for row, (t, s) in zip(rows, EDGES, strict=True))
        runs = tuple(tuple(option - first for option in row if option >= first) for row in rows)
        mixture = Mixture(runs, [bool(row) for row in rows], bool(kind), self.module.affine, device)
        if weights is not None:
            table, of_edges = weights[kind], None
            if self.edges:
                of_nodes = weights[2 + kind * NODES : 2 + (kind + 1) * NODES]
                of_edges = torch.cat([one[..., 0, :] for one in of_nodes], -1)
                table = table * of_edges.unsqueeze(-1)
            mixture.weigh(table[..., first:], of_edges)
            if straight_through:
                idle = torch.tensor([[option not in row for option in range(table.shape[-1])] for row in rows], device=device)
                entering = torch.split((table * idle).sum(-1), list(range(INPUTS, STATES)), -1)
                mixture.idle = [one.sum(-1) for one in entering]
        return mixture

    def only(self, arch: Arch) -> Active:
        """Executes what the architecture's edges hold, and nothing on its other edges."""
        first = int(self.none)
        rows = [tuple(first + op for op in range(len(OPS)) if edge >> op & 1) for edge in arch]
        kinds = (tuple(rows[: len(EDGES)]), tuple(rows[len(EDGES) :]))
        if not self.edges:
            return kinds
        taken = tuple(
            (tuple(source for source in range(node) if kind[EDGE[node, source]]),)
            for kind in kinds
            for node in range(INPUTS, STATES)
        )
        return (*kinds, *taken)

    def holding(self, active: Active) -> Arch:
        """The inverse of :meth:`only`."""
        first = int(self.none)
        return tuple(sum(1 << option - first for option in row if option >= first) for kind in active[:2] for row in kind)

    def hold(self, nodes: Collection[tuple[int, int]]) -> Tensor:
        """Trains no scale and shift of operations that enter these nodes (kind of cell, node), from now on.

        Answers a flat mask, in the order of the module's parameters, of what an optimiser must leave as it is.
        """
        held: dict[nn.Parameter, Tensor] = {}
        for cell in cast(Sequence[_Cell], self.module.cells):
            for group, mixed in zip(GROUPS, cell.groups, strict=True):
                rows = [row for row, target in enumerate(group.targets) if (int(cell.reduces), target) in nodes]
                held |= cast(MixedEdges, mixed).hold(rows)
        masks = [held.get(value, torch.zeros_like(value, dtype=torch.bool)) for value in self.module.parameters()]
        return torch.cat([mask.flatten() for mask in masks])

    def parameters(self, arch: Arch) -> int:
        """Of the stand-alone network of ``arch``, its auxiliary head left out."""
        macro = replace(self.module.macro, extra_norm=self.module.affine)
        return network_size(arch, macro).parameters

    def absorbed(self, arch: Arch, weights: Sequence[Tensor] | None = None) -> Network:
        """See :func:`benchmarks.darts.absorption.absorbed`."""
        from benchmarks.darts.absorption import absorbed

        return absorbed(self, arch, weights)

    def derive(self, scores: Sequence[Any]) -> Arch:
        """DARTS' rule: of each node the two inputs whose best operation scores highest, with that operation.

        ``none`` takes part in no comparison; with edge decisions an operation's score is the product of both.
        """
        arch: list[int] = []
        for kind in range(len(CELLS)):
            table = torch.as_tensor(scores[kind]).detach().cpu().double()[:, int(self.none) :]
            best, ops = table.max(-1)
            if self.edges:
                of_nodes = scores[2 + kind * NODES : 2 + (kind + 1) * NODES]
                best = best * torch.cat([torch.as_tensor(one).detach().cpu().double()[0] for one in of_nodes])
            edges = [0] * len(EDGES)
            for node in range(INPUTS, STATES):
                start = EDGE[node, 0]
                for source in torch.argsort(best[start : start + node], descending=True, stable=True)[:2].tolist():
                    edges[start + source] = 1 << int(ops[start + source])
            arch += edges
        return tuple(arch)


@dataclass
class Mixture:
    """One pass through the cells of one kind: what is executed, and with which weights."""

    rows: tuple[tuple[int, ...], ...]
    """For each edge, the operations that run."""
    open: Sequence[bool]
    """Which edges let the channels pass that no operation works on."""
    reduces: bool
    affine: bool
    device: torch.device
    edges: Tensor | None = None
    """Weights (14,), or (batch, 14), of the edges themselves."""
    idle: Sequence[Tensor] | None = None
    """For each node, a number that enters it (straight-through), or (batch,)."""
    plans: list[Plan] = field(init=False)
    weights: list[Tensor | None] = field(init=False)
    """Of each group's slots."""

    def __post_init__(self) -> None:
        self.plans = [
            plan(group, self.rows, 2 if self.reduces and not number else 1, self.affine, self.device)
            for number, group in enumerate(GROUPS)
        ]
        self.weights = [None] * len(GROUPS)

    def weigh(self, table: Tensor, edges: Tensor | None) -> None:
        """Gives operations the weights of ``table`` (..., 14, 7), and edges theirs."""
        flat = table.flatten(-2)
        self.weights = [flat[..., run.slots] for run in self.plans]
        self.edges = edges

    def passing(self, group: int, like: Tensor) -> Tensor:
        """The table of :func:`spread` for the channels that pass by operations."""
        edges = list(GROUPS[group].edges)
        table = like.new_tensor([float(self.open[edge]) for edge in edges])
        if self.edges is not None:
            table = table * self.edges[..., edges]
        return table.view(*table.shape[:-1], len(GROUPS[group].targets), -1, 1)


class _Cell(nn.Module):
    """One cell with everything in it."""

    def __init__(self, place: Place, partial: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.reduces, self.partial = place.reduces, partial
        if place.width % partial:
            raise ValueError(f"{place.width} channels are not divisible by partial = {partial}")
        self.working = place.width // partial
        if place.older_larger:
            self.older: nn.Module = FactorizedReduce(place.older, place.width, affine)
        else:
            self.older = _projection(place.older, place.width, affine)
        self.newer = _projection(place.newer, place.width, affine)
        self.groups = nn.ModuleList(
            MixedEdges(group, self.working, place.stride(group.sources[0]), affine, track) for group in GROUPS
        )

    def forward(self, older: Tensor, newer: Tensor, mixture: Mixture, drop: float, noise: torch.Generator | None) -> Tensor:
        """The concatenated nodes; both inputs are rectified."""
        states: list[Tensor] = [self.older(older), self.newer(newer)]
        entering: list[list[Tensor]] = [[] for _ in range(NODES)]
        passing: list[list[Tensor]] = [[] for _ in range(NODES)]
        c, like = self.working, states[1][:, :, ::2, ::2] if self.reduces else states[1]
        for number, (group, mixed) in enumerate(zip(GROUPS, self.groups, strict=True)):
            while len(states) <= group.sources[-1]:
                states.append(self._node(len(states), entering, passing, mixture, like))
            values = [states[source] for source in group.sources]
            run = mixture.plans[number]
            keep = _kept(run, len(like), drop, noise, like) if drop else None
            working = [value[:, :c] for value in values] if self.partial > 1 else values
            found = cast(MixedEdges, mixed)(working, run, mixture.weights[number], keep)
            for target, term in zip(group.targets, found, strict=True):
                if term is not None:
                    entering[target - INPUTS].append(term)
            if self.partial > 1:
                rest = [value[:, c:] for value in values]
                if self.reduces and not number:
                    rest = [F.max_pool2d(value, 2) for value in rest]
                width = rest[0].shape[1]
                by = spread(torch.cat(rest, 1), mixture.passing(number, like), width)
                for target, term in zip(group.targets, torch.split(by, width, 1), strict=True):
                    passing[target - INPUTS].append(term)
        while len(states) < STATES:
            states.append(self._node(len(states), entering, passing, mixture, like))
        return torch.cat(states[INPUTS:], 1)

    def _node(
        self, node: int, entering: list[list[Tensor]], passing: list[list[Tensor]], mixture: Mixture, like: Tensor
    ) -> Tensor:
        total = added(entering[node - INPUTS])
        if total is None:
            total = torch.zeros_like(like[:, : self.working])
        if mixture.idle is not None:
            number = mixture.idle[node - INPUTS]
            total = total + (number.view(-1, 1, 1, 1) if number.dim() else number)
        by = added(passing[node - INPUTS])
        return total if by is None else shuffled(torch.cat([total, by], 1), self.partial)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels dealt out in turn from ``groups`` equal stacks; channels last in memory."""
    batch, channels, height, width = x.shape
    stacks = x.permute(0, 2, 3, 1).reshape(batch, height, width, groups, channels // groups)
    return stacks.transpose(-1, -2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _kept(run: Plan, batch: int, drop: float, noise: torch.Generator | None, like: Tensor) -> Tensor:
    """Factors (batch, slots) of drop-path: 0 with probability ``drop``, else 1 / (1 - drop); identities are never dropped."""
    drawn = torch.rand(batch, len(run.slots), generator=noise).to(like.device)
    return ((drawn >= drop) / (1 - drop)).masked_fill(run.identities, 1.0).to(like.dtype)


class _Module(nn.Module):
    """The whole network; what lies outside the cells is named as in :class:`benchmarks.darts.network.Network`."""

    def __init__(self, macro: Macro, partial: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.macro, self.affine = macro, affine
        built = list(places(EVERYTHING, macro))
        width = STEM_WIDTH * macro.width
        self.stem = nn.Sequential(nn.Conv2d(macro.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList(_Cell(place, partial, affine, track) for place in built)
        self.auxiliary_after = 2 * macro.depth // 3
        self.auxiliary = auxiliary_head(built[self.auxiliary_after].outputs, macro) if macro.auxiliary else None
        self.classifier = nn.Linear(built[-1].outputs, macro.classes)
        self.noise = torch.Generator()
        """Of drop-path; on the CPU, so that every device drops the same."""
        if not track:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.track_running_stats = False
                    module.running_mean = module.running_var = module.num_batches_tracked = None

    def forward(self, x: Tensor, runs: Sequence[tuple[Mixture, Mixture]], drop: float) -> tuple[Tensor, Tensor | None]:
        """With one pair of mixtures for all cells, or one for each."""
        of_cell, auxiliary = cycle(runs), None
        newer: Tensor = self.stem(x.contiguous(memory_format=torch.channels_last))
        before = rectified = F.relu(newer)
        for number, cell in enumerate(cast(Sequence[_Cell], self.cells)):
            newer = cell(before, rectified, next(of_cell)[cell.reduces], drop, self.noise)
            before, rectified = rectified, F.relu(newer)
            if number == self.auxiliary_after and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(newer)
        return self.classifier(newer.mean((2, 3))), auxiliary


def _projection(inputs: int, outputs: int, affine: bool) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine))


class _Prices:
    """Multiply-adds of one image in a pass."""

    def __init__(self, macro: Macro, partial: int) -> None:
        built = list(places(EVERYTHING, macro))
        bare = network_size(EVERYTHING, macro)
        self._bare = bare.macs - sum(_operations(place, place.width) for place in built)
        self._of_cell = [
            (int(place.reduces), [[_price(op, place, source, place.width // partial) for op in OPS] for _, source in EDGES])
            for place in built
        ]

    def __call__(self, runs: Sequence[tuple[Mixture, Mixture]]) -> float:
        total = self._bare
        for (kind, prices), run in zip(self._of_cell, cycle(runs), strict=False):
            total += sum(price[op] for price, ops in zip(prices, run[kind].rows, strict=True) for op in ops)
        return float(total)


def _price(op: str, place: Place, source: int, width: int) -> int:
    return op_size(op, width, place.stride(source), place.output_size**2).macs


def _operations(place: Place, width: int) -> int:
    return sum(_price(op, place, source, width) for op in OPS for _, source in EDGES)


def _initialise(module: nn.Module, seed: int) -> None:
    """PyTorch's default initialisation from a generator of its own: uniform within 1/sqrt(fan-in)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                continue
            for name, value in part.named_parameters(recurse=False):
                if name.endswith(("scale", "shift")):
                    continue
                weight = cast(Tensor, part.weight) if name == "bias" else value
                bound = weight[0].numel() ** -0.5
                value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * bound)
                if value.dim() == 4:
                    value.data = value.data.contiguous(memory_format=torch.channels_last)
