"""The network of the DARTS supernet: cells in which every edge has every operation.

A cell sums weighted operations on each edge; :mod:`benchmarks.darts.mixed` describes the work that edges share. With partial
channels (PC-DARTS) the operations work on some of the channels, and the other channels bypass them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import cycle
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts.cell import EDGES, INPUTS, NODES, OPS, STATES
from benchmarks.darts.macro import Macro, Place, places
from benchmarks.darts.mixed import MixedEdges, added, spread
from benchmarks.darts.network import FactorizedReduce, auxiliary_head, stem
from benchmarks.darts.plan import GROUPS, Mask, Plan, placed, plan
from benchmarks.networks import drop_statistics
from harness.device import rounded
from harness.replay import hold
from harness.space import Arch

EVERYTHING: Arch = ((1 << len(OPS)) - 1,) * (2 * len(EDGES))
"""The architecture with every operation on every edge."""


@dataclass
class Mixture:
    """The executed operations and their weights, for the cells of one kind in one pass."""

    rows: tuple[tuple[int, ...], ...]
    """For each edge, the executed operations."""
    open: Sequence[bool]
    """For each edge, whether the channels that no operation works on pass to the target."""
    reduces: bool
    """Whether the cells are reduction cells."""
    affine: bool
    """Whether norms have scale and shift."""
    table: Tensor | None = None
    """Weights of the operations, (14, 7) or (batch, 14, 7); None: weight one."""
    edges: Tensor | None = None
    """Weights of the edges, (14,) or (batch, 14); None: weight one."""
    options: Tensor | None = None
    """Weights of the options, (14, options) or (batch, 14, options); None: idle options add nothing."""
    idle_options: Mask | None = None
    """The options whose weights are added as numbers (straight-through estimator)."""
    plans: list[Plan] = field(init=False)
    weights: list[Tensor | None] = field(init=False)
    """For each group, the weights of its slots; None: weight one."""
    idle: Sequence[Tensor] | None = None
    """For each node, the number that is added to it, () or (batch,)."""

    def __post_init__(self) -> None:
        self.plans = [
            plan(group, self.rows, 2 if self.reduces and not number else 1, self.affine) for number, group in enumerate(GROUPS)
        ]
        self.weights = [None] * len(GROUPS)

    def place(self, plans: list[Plan], idle: Tensor | None) -> None:
        """Set what the pass reads on its device.

        Args:
            plans: the plans of the groups, there.
            idle: ``idle_options``, there.
        """
        self.plans = plans
        if self.table is not None:
            # weights of convolutions are scales of norms, others multiply images: all have the precision of images
            flat = rounded(self.table.flatten(-2)).to(self.table.dtype)
            self.weights = [flat[..., run.at.slots] for run in plans]
        if self.options is not None and idle is not None:
            entering = torch.split((self.options * idle).sum(-1), list(range(INPUTS, STATES)), -1)
            self.idle = [node.sum(-1) for node in entering]

    def passing(self, group: int, like: Tensor) -> Tensor:
        """Return the table of :func:`spread` for the channels that no operation works on."""
        edges = GROUPS[group].edges
        table = hold(_numbers(tuple(float(self.open[edge]) for edge in edges), like.dtype, like.device))
        if self.edges is not None:
            table = table * self.edges[..., hold(_numbers(edges, torch.int64, like.device))]
        return table.view(*table.shape[:-1], len(GROUPS[group].targets), -1, 1)


@lru_cache(maxsize=1024)
def _numbers(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers on a device. They are constants of a space, so they are copied there once."""
    return torch.tensor(values, dtype=dtype, device=device)


class MixedCell(nn.Module):
    """One cell with all operations on all edges.

    Raises:
        ValueError: the channels are not divisible by ``partial``.
    """

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
        """Return the concatenated nodes.

        Args:
            older: output of the cell before the last one, rectified.
            newer: output of the last cell, rectified.
            mixture: the operations to execute, and their weights.
            drop: probability of drop-path.
            noise: generator of drop-path, on the device.
        """
        states: list[Tensor] = [self.older(older), self.newer(newer)]
        entering: list[list[Tensor]] = [[] for _ in range(NODES)]
        passing: list[list[Tensor]] = [[] for _ in range(NODES)]
        c, like = self.working, states[1][:, :, ::2, ::2] if self.reduces else states[1]
        for number, (group, mixed) in enumerate(zip(GROUPS, self.groups, strict=True)):
            while len(states) <= group.sources[-1]:
                states.append(self._node(len(states), entering, passing, mixture, like))
            values = [states[source] for source in group.sources]
            run = mixture.plans[number]
            keep = _keep(run, len(like), drop, noise, like) if drop else None
            working = [value[:, :c] for value in values] if self.partial > 1 else values
            terms = cast(MixedEdges, mixed)(working, run, mixture.weights[number], keep)
            for target, term in zip(group.targets, terms, strict=True):
                if term is not None:
                    entering[target - INPUTS].append(term)
            if self.partial > 1:
                rest = [value[:, c:] for value in values]
                if self.reduces and not number:
                    rest = [F.max_pool2d(value, 2) for value in rest]
                width = rest[0].shape[1]
                sums = spread(torch.cat(rest, 1), mixture.passing(number, like), width)
                for target, term in zip(group.targets, torch.split(sums, width, 1), strict=True):
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
            total = total + (number.view(-1, 1, 1, 1).to(total.dtype) if number.dim() else number)
        rest = added(passing[node - INPUTS])
        return total if rest is None else shuffled(torch.cat([total, rest], 1), self.partial)


def _place(mixtures: Sequence[Mixture], device: torch.device) -> None:
    """Put what the cells of a pass read on its device, at once."""
    distinct = list({id(mixture): mixture for mixture in mixtures}.values())
    plans = tuple(run for mixture in distinct for run in mixture.plans)
    on_device, idle = hold(placed(plans, tuple(mixture.idle_options for mixture in distinct), device))
    for number, mixture in enumerate(distinct):
        mixture.place(on_device[number * len(GROUPS) : (number + 1) * len(GROUPS)], idle[number])


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Return the channels taken in turn from ``groups`` equal stacks; channels are last in memory."""
    batch, channels, height, width = x.shape
    stacks = x.permute(0, 2, 3, 1).reshape(batch, height, width, groups, channels // groups)
    return stacks.transpose(-1, -2).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _keep(run: Plan, batch: int, drop: float, noise: torch.Generator | None, like: Tensor) -> Tensor:
    """Draw the factors (batch, slots) of drop-path: 0 with probability ``drop``, else 1 / (1 - drop); 1 for bare identities."""
    drawn = torch.rand(batch, len(run.at.slots), generator=hold(noise), device=like.device)
    return ((drawn >= drop) / (1 - drop)).masked_fill(run.at.identities.bool(), 1.0).to(like.dtype)


class SearchNetwork(nn.Module):
    """The whole network. Layers outside the cells are named as in :class:`benchmarks.darts.network.Network`.

    Args:
        macro: the network around the cells.
        partial: operations work on one of this many channels.
        affine: norms have scale and shift; inside the cells they then also follow poolings and skip connections.
        track: norms keep running statistics for evaluation.
    """

    def __init__(self, macro: Macro, partial: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.macro, self.affine = macro, affine
        built = list(places(EVERYTHING, macro))
        self.stem, self.stem_rest = stem(macro)
        self.cells = nn.ModuleList(MixedCell(place, partial, affine, track) for place in built)
        self.auxiliary_after = 2 * macro.depth // 3
        self.auxiliary = auxiliary_head(built[self.auxiliary_after].outputs, macro) if macro.auxiliary else None
        self.classifier = nn.Linear(built[-1].outputs, macro.classes)
        self.noise = torch.Generator()
        """Generator of drop-path, on the device of the pass."""
        if not track:
            drop_statistics(self)

    def forward(self, x: Tensor, runs: Sequence[tuple[Mixture, Mixture]], drop: float) -> tuple[Tensor, Tensor | None]:
        """Return the logits (batch, classes), and in training mode those of the auxiliary head.

        Args:
            x: images.
            runs: pairs of mixtures, of normal and reduction cells: one pair for all cells, or one for each.
            drop: probability of drop-path.
        """
        mixtures = [run[cell.reduces] for cell, run in zip(cast(Sequence[MixedCell], self.cells), cycle(runs), strict=False)]
        _place(mixtures, x.device)
        auxiliary = None
        newer: Tensor = self.stem(x.contiguous(memory_format=torch.channels_last))
        before = rectified = F.relu(newer)
        if self.stem_rest is not None:
            newer = self.stem_rest(newer)
            rectified = F.relu(newer)
        for number, cell in enumerate(cast(Sequence[MixedCell], self.cells)):
            newer = cell(before, rectified, mixtures[number], drop, self.noise)
            before, rectified = rectified, F.relu(newer)
            if number == self.auxiliary_after and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(newer)
        return self.classifier(newer.mean((2, 3))), auxiliary


def _projection(inputs: int, outputs: int, affine: bool) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine))
