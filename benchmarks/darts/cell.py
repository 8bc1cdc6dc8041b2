"""The cell of the DARTS space: two inputs, four nodes, fourteen edges, seven operations; any number of them on an edge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""In the order of the official code, without ``none``: operation ``i`` is bit ``1 << i`` of an edge."""

INPUTS = 2
NODES = 4
STATES = INPUTS + NODES
"""States 0 and 1 are the outputs of the two cells before, the older one first; states 2 to 5 are the nodes."""

EDGES = tuple((target, source) for target in range(INPUTS, STATES) for source in range(target))
"""(target, source) of each position of a cell."""

EDGE = {pair: position for position, pair in enumerate(EDGES)}

Cell = tuple[int, ...]
"""For each edge, the operations on it as bits."""

Inputs = list[tuple[int, int]]
"""(operation, source) of everything that enters a node, by source and then by operation."""


def operations(edge: int) -> tuple[int, ...]:
    """The numbers of an edge's operations, ascending."""
    return tuple(op for op in range(len(OPS)) if edge >> op & 1)


def inputs(cell: Cell, node: int) -> Inputs:
    """What enters a node (2 to 5)."""
    return [(op, source) for source in range(node) for op in operations(cell[EDGE[node, source]])]


def cell_of(nodes: Sequence[Inputs]) -> Cell:
    """The inverse of :func:`inputs` over nodes 2, 3, 4, 5."""
    edges = [0] * len(EDGES)
    for node, entering in enumerate(nodes, INPUTS):
        for op, source in entering:
            edges[EDGE[node, source]] |= 1 << op
    return tuple(edges)


def surviving(cell: Cell) -> tuple[int, ...]:
    """The nodes that a cell input reaches, ascending: the output concatenates these (SparseNAS)."""
    alive = set(range(INPUTS))
    for target, source in EDGES:
        if source in alive and cell[EDGE[target, source]]:
            alive.add(target)
    return tuple(sorted(alive - set(range(INPUTS))))


def pruned(cell: Cell) -> Cell:
    """The same network without the operations that read a vanished node."""
    alive = {*range(INPUTS), *surviving(cell)}
    return tuple(edge if source in alive else 0 for edge, (_, source) in zip(cell, EDGES, strict=True))


def canonical(cell: Cell) -> Cell:
    """One cell for all that differ in the order of their nodes, or in what reads vanished nodes.

    Nodes may change places where every edge still runs forward: the concatenation's channels change places with them, and
    what reads it has a weight for each. Of all orders the largest tuple is taken, surviving nodes first.
    """
    bare, alive = pruned(cell), surviving(cell)
    sources = {node: {source for _, source in inputs(bare, node)} for node in alive}
    best: Cell = ()
    for order in itertools.permutations(alive):
        state = {**{source: source for source in range(INPUTS)}, **{node: INPUTS + i for i, node in enumerate(order)}}
        if any(state[source] >= state[node] for node in alive for source in sources[node]):
            continue
        edges = [0] * len(EDGES)
        for node in alive:
            for source in sources[node]:
                edges[EDGE[state[node], state[source]]] = bare[EDGE[node, source]]
        best = max(best, tuple(edges))
    return best or bare
