"""The cell of the DARTS space: two inputs, four nodes and fourteen edges. An edge has any number of the seven operations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""The operations in the order of the official code, without ``none``. Operation ``i`` is bit ``1 << i`` of an edge."""

INPUTS = 2
NODES = 4
STATES = INPUTS + NODES
"""Number of states. States 0 and 1 are the outputs of the two cells before, the older first; states 2 to 5 are the nodes."""

EDGES = tuple((target, source) for target in range(INPUTS, STATES) for source in range(target))
"""(target, source) of each position of a cell."""

EDGE = {pair: position for position, pair in enumerate(EDGES)}
"""The position of each (target, source)."""

Cell = tuple[int, ...]
"""For each edge, the operations on it as bits."""

Inputs = list[tuple[int, int]]
"""(operation, source) of each operation that enters a node, sorted by source and then by operation."""


def operations(edge: int) -> tuple[int, ...]:
    """Return the numbers of an edge's operations, ascending."""
    return tuple(op for op in range(len(OPS)) if edge >> op & 1)


def inputs(cell: Cell, node: int) -> Inputs:
    """Return the operations that enter a node (2 to 5)."""
    return [(op, source) for source in range(node) for op in operations(cell[EDGE[node, source]])]


def cell_of(nodes: Sequence[Inputs]) -> Cell:
    """Return the cell with these inputs of nodes 2, 3, 4 and 5. This is the inverse of :func:`inputs`."""
    edges = [0] * len(EDGES)
    for node, entering in enumerate(nodes, INPUTS):
        for op, source in entering:
            edges[EDGE[node, source]] |= 1 << op
    return tuple(edges)


def surviving(cell: Cell) -> tuple[int, ...]:
    """Return the nodes that a cell input reaches, ascending. The output of the cell concatenates them (SparseNAS)."""
    alive = set(range(INPUTS))
    for target, source in EDGES:
        if source in alive and cell[EDGE[target, source]]:
            alive.add(target)
    return tuple(sorted(alive - set(range(INPUTS))))


def pruned(cell: Cell) -> Cell:
    """Return the cell without the operations that read a vanished node. It computes the same."""
    alive = {*range(INPUTS), *surviving(cell)}
    return tuple(edge if source in alive else 0 for edge, (_, source) in zip(cell, EDGES, strict=True))


def canonical(cell: Cell) -> Cell:
    """Return the same cell for all cells that differ only in the order of nodes, or in operations that read vanished nodes.

    Two nodes may change places if every edge still runs forward. The channels of the output change places with them, which
    makes no difference, because the next layer has a weight for each channel. Surviving nodes come first. Of all orders the
    function takes the order with the largest tuple.
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
