"""The DARTS supernet: its decisions, the options of an architecture, and the price of a pass."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from benchmarks.darts.absorption import absorbed
from benchmarks.darts.cell import EDGE, EDGES, INPUTS, NODES, OPS, STATES
from benchmarks.darts.cell import operations as operations_of
from benchmarks.darts.macro import Macro, Place, places
from benchmarks.darts.mixed import MixedEdges
from benchmarks.darts.plan import GROUPS
from benchmarks.darts.search_network import EVERYTHING, MixedCell, Mixture, SearchNetwork
from benchmarks.darts.size import network_size, op_size
from benchmarks.darts.stand_alone import StandAlone
from benchmarks.networks import SupernetBase, channels_last, free
from harness.space import Arch
from harness.training import Meter
from harness.weight_sharing import Active, Decision, ranked

SEARCH = Macro(width=16, depth=8, auxiliary=False)
"""The papers' supernet for CIFAR-10."""

CELLS = ("normal", "reduce")
"""The kinds of cells."""
T = TypeVar("T")

Mixtures = tuple[Mixture, Mixture]
"""The mixtures of a normal cell and of a reduction cell."""
Pass = Callable[[float, int, bool, Meter], None]
"""A function that charges one pass. It takes multiply-adds per image, the number of images, True for training, and a meter."""


class Supernet(SupernetBase[Mixtures]):
    """See :class:`harness.weight_sharing.DeployableSupernet`.

    Decisions: ``normal`` and ``reduce``, a row per edge of :data:`benchmarks.darts.cell.EDGES`. With ``edges``, also
    ``normal 2`` to ``reduce 5``: one row each, the inputs of a node.

    Args:
        macro: the network around the cells.
        none: ``none`` is one of the options.
        operations: for each kind of cell, the names of the operations on its edges; a kind without an entry has all. The
            network has weights for other operations too, which no pass reads.
        edges: edges have weights, and the inputs of nodes are decisions.
        partial: operations work on one of this many channels.
        affine: norms have scale and shift; inside the cells they then also follow poolings and skip connections.
        track: norms keep running statistics for evaluation; if False, every batch is normalised by its own statistics.
        seed: seed of the initial weights.
        charge: charges each pass to a meter.
        meter: the meter of the search.
    """

    recordable = True

    def __init__(
        self,
        macro: Macro = SEARCH,
        *,
        none: bool = True,
        operations: Mapping[str, Sequence[str]] | None = None,
        edges: bool = False,
        partial: int = 1,
        affine: bool = False,
        track: bool = True,
        seed: int = 0,
        charge: Pass = lambda macs, images, training, meter: None,
        meter: Meter = free,
    ) -> None:
        self.none, self.edges, self.partial = none, edges, partial
        self._ops = numbers(operations or {})
        """For each kind of cell, the numbers of its operations."""
        targets = tuple(target for target, _ in EDGES)
        decisions = tuple(
            Decision(kind, len(EDGES), (*("none",) * none, *(OPS[op] for op in ops)), targets=targets, several=True)
            for kind, ops in zip(CELLS, self._ops, strict=True)
        )
        if edges:
            decisions += tuple(
                Decision(f"{kind} {node}", 1, tuple(map(str, range(node))), "edge", (node,))
                for kind in CELLS
                for node in range(INPUTS, STATES)
            )
        self._network = SearchNetwork(macro, partial, affine, track)
        super().__init__(decisions, self._network, macro.depth, seed, meter)
        channels_last(self._network)
        self._prices = _Prices(macro, partial)
        self._charge = charge
        self.drop_path = 0.0
        self.auxiliary_logits: Tensor | None = None

    def _cell(self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device) -> Mixtures:
        normal, reduce = (self._mixture(kind, active, weights, straight_through) for kind in range(len(CELLS)))
        return normal, reduce

    def _mixture(self, kind: int, active: Active, weights: Sequence[Tensor] | None, straight_through: bool) -> Mixture:
        first = int(self.none)
        rows = active[kind]
        if self.edges:
            taken = [row for rows in self._of_nodes(kind, active) for row in rows]
            rows = tuple(row if s in taken[t - INPUTS] else () for row, (t, s) in zip(rows, EDGES, strict=True))
        runs = tuple(tuple(self._ops[kind][option - first] for option in row if option >= first) for row in rows)
        mixture = Mixture(runs, [bool(row) for row in rows], bool(kind), self._network.affine)
        if weights is not None:
            table, of_edges = weights[kind], None
            if self.edges:
                of_edges = torch.cat([node[..., 0, :] for node in self._of_nodes(kind, weights)], -1)
                table = table * of_edges.unsqueeze(-1)
            mixture.table, mixture.edges = self._of_every(kind, table[..., first:]), of_edges
            if straight_through:
                mixture.options = table
                mixture.idle_options = tuple(tuple(option not in row for option in range(table.shape[-1])) for row in rows)
        return mixture

    def _of_every(self, kind: int, table: Tensor) -> Tensor:
        """Return a table (..., edges, operations) of this supernet with a column for every operation of the space."""
        ops = self._ops[kind]
        if len(ops) == len(OPS):
            return table
        columns = dict(zip(ops, table.unbind(-1), strict=True))
        idle = table.new_zeros(table.shape[:-1])
        return torch.stack([columns.get(op, idle) for op in range(len(OPS))], -1)

    @staticmethod
    def _of_nodes(kind: int, tables: Sequence[T]) -> Sequence[T]:
        """Return the tables of the decisions on the inputs of nodes, of one kind of cell."""
        start = len(CELLS) + kind * NODES
        return tables[start : start + NODES]

    def _pay(self, cells: Sequence[Mixtures], images: int, training: bool, meter: Meter) -> None:
        self._charge(self._prices(cells), images, training, meter)

    def _logits(self, images: Tensor, cells: Sequence[Mixtures]) -> Tensor:
        outputs: tuple[Tensor, Tensor | None] = self._network(images, cells, self.drop_path if self.module.training else 0.0)
        logits, self.auxiliary_logits = outputs
        return logits

    def active_for(self, arch: Arch) -> Active:
        """See the contract. Edges that are not in the architecture execute no operation."""
        kinds = tuple(
            tuple(self._options(kind, edge) for edge in cell)
            for kind, cell in enumerate((arch[: len(EDGES)], arch[len(EDGES) :]))
        )
        if not self.edges:
            return kinds
        taken = tuple(
            (tuple(source for source in range(node) if kind[EDGE[node, source]]),)
            for kind in kinds
            for node in range(INPUTS, STATES)
        )
        return (*kinds, *taken)

    def _options(self, kind: int, edge: int) -> tuple[int, ...]:
        """Return the options that execute an edge's operations. Raises :class:`ValueError` if there is no such option."""
        ops = operations_of(edge)
        if lacking := [OPS[op] for op in ops if op not in self._ops[kind]]:
            raise ValueError(f"the {CELLS[kind]} cells of this supernet have no {lacking[0]}")
        return tuple(int(self.none) + self._ops[kind].index(op) for op in ops)

    def arch_of(self, active: Active) -> Arch:
        """See the contract."""
        first = int(self.none)
        return tuple(
            sum(1 << self._ops[kind][option - first] for option in row if option >= first)
            for kind in range(len(CELLS))
            for row in active[kind]
        )

    def seed_drop_path(self, seed: int) -> None:
        """See the contract."""
        device = next(self._network.parameters()).device
        self._network.noise = torch.Generator(device).manual_seed(seed)

    def freeze_affine(self, nodes: Collection[tuple[int, int]]) -> Tensor:
        """See the contract. The decision of a node is its kind of cell."""
        frozen: dict[nn.Parameter, Tensor] = {}
        for cell in cast(Sequence[MixedCell], self._network.cells):
            for group, mixed in zip(GROUPS, cell.groups, strict=True):
                rows = [row for row, target in enumerate(group.targets) if (int(cell.reduces), target) in nodes]
                frozen |= cast(MixedEdges, mixed).freeze_affine(rows)
        masks = [frozen.get(value, torch.zeros_like(value, dtype=torch.bool)) for value in self.module.parameters()]
        return torch.cat([mask.flatten() for mask in masks])

    def parameter_count(self, arch: Arch) -> int:
        """See the contract."""
        macro = replace(self._network.macro, extra_norm="all" if self._network.affine else "none")
        return network_size(arch, macro).parameters

    def absorb(self, arch: Arch, weights: Sequence[Tensor] | None = None) -> StandAlone:
        """See the contract, and :func:`benchmarks.darts.absorption.absorbed`.

        Raises:
            ValueError: the supernet has no affine norms, partial channels or edge weights, or a node of ``arch`` has no
                input.
        """
        if self.edges:
            raise ValueError("only a supernet without edge weights has stand-alone networks")
        tables = None
        if weights is not None:
            tables = [self._of_every(kind, table[:, int(self.none) :]) for kind, table in enumerate(weights)]
        return StandAlone(absorbed(self._network, arch, tables))

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        """Return DARTS' choice: for each node the two inputs whose best operation scores highest, with that operation.

        ``none`` takes no part in the comparison. With edge decisions, the score of an operation is multiplied by the score of
        its edge.
        """
        arch: list[int] = []
        for kind in range(len(CELLS)):
            table = torch.as_tensor(scores[kind]).double()[:, int(self.none) :].tolist()
            ops = [ranked(row, rng)[0] for row in table]
            best = [row[op] for row, op in zip(table, ops, strict=True)]
            if self.edges:
                of_nodes = [torch.as_tensor(node).double()[0].tolist() for node in self._of_nodes(kind, scores)]
                best = [score * of_edge for score, of_edge in zip(best, chain(*of_nodes), strict=True)]
            edges = [0] * len(EDGES)
            for node in range(INPUTS, STATES):
                start = EDGE[node, 0]
                for source in ranked(best[start : start + node], rng)[:2]:
                    edges[start + source] = 1 << self._ops[kind][ops[start + source]]
            arch += edges
        return tuple(arch)


def numbers(operations: Mapping[str, Sequence[str]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the numbers of the named operations of normal and of reduction cells, ascending; all if a kind has no entry.

    Raises:
        ValueError: a name is no kind of cell or no operation, or a kind has no operation.
    """
    if strange := set(operations) - set(CELLS):
        raise ValueError(f"{min(strange)!r} is no kind of cell; there are {', '.join(CELLS)}")
    for kind, names in operations.items():
        if wrong := set(names) - set(OPS):
            raise ValueError(f"{min(wrong)!r} is no operation; there are {', '.join(OPS)}")
        if not names:
            raise ValueError(f"the {kind} cell needs at least one operation")
    normal, reduce = (tuple(op for op, name in enumerate(OPS) if name in operations.get(kind, OPS)) for kind in CELLS)
    return normal, reduce


class _Prices:
    """The prices of passes: multiply-adds of one image."""

    def __init__(self, macro: Macro, partial: int) -> None:
        built = list(places(EVERYTHING, macro))
        bare = network_size(EVERYTHING, macro)
        self._bare = bare.macs - sum(_operations(place, place.width) for place in built)
        self._of_cell = [
            (int(place.reduces), [[_price(op, place, source, place.width // partial) for op in OPS] for _, source in EDGES])
            for place in built
        ]

    def __call__(self, runs: Sequence[Mixtures]) -> float:
        total = self._bare
        for (kind, prices), run in zip(self._of_cell, cycle(runs), strict=False):
            total += sum(price[op] for price, ops in zip(prices, run[kind].rows, strict=True) for op in ops)
        return float(total)


def _price(op: str, place: Place, source: int, width: int) -> int:
    return op_size(op, width, place.stride(source), place.output_size**2).macs


def _operations(place: Place, width: int) -> int:
    return sum(_price(op, place, source, width) for op in OPS for _, source in EDGES)
