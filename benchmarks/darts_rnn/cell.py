"""The recurrent cell: a first state, eight nodes, and an edge from every earlier state to each node.

An edge has any number of the four activations. A cell without surviving nodes is no cell.
"""

from __future__ import annotations

from collections.abc import Sequence

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""The activations in the order of the official code, without ``none``. Activation ``i`` is bit ``1 << i`` of an edge."""

NODES = 8
"""State 0 comes from the input and the hidden state. States 1 to 8 are the nodes."""

EDGES = tuple((target, source) for target in range(1, NODES + 1) for source in range(target))
"""(target, source) of each position of a cell."""

EDGE = {pair: position for position, pair in enumerate(EDGES)}
"""The position of each (target, source)."""

Cell = tuple[int, ...]
"""For each edge, its activations as bits."""

Inputs = list[tuple[int, int]]
"""(activation, source) of each activation that enters a node, sorted by source and then by activation."""


def activations(edge: int) -> tuple[int, ...]:
    """Return the numbers of an edge's activations, ascending."""
    return tuple(number for number in range(len(ACTIVATIONS)) if edge >> number & 1)


def inputs(cell: Cell, node: int) -> Inputs:
    """Return the activations that enter a node (1 to 8)."""
    return [(number, source) for source in range(node) for number in activations(cell[EDGE[node, source]])]


def cell_of(nodes: Sequence[Inputs]) -> Cell:
    """Return the cell with these inputs of nodes 1 to 8. This is the inverse of :func:`inputs`."""
    edges = [0] * len(EDGES)
    for node, entering in enumerate(nodes, 1):
        for number, source in entering:
            edges[EDGE[node, source]] |= 1 << number
    return tuple(edges)


def surviving(cell: Cell) -> tuple[int, ...]:
    """Return the nodes that state 0 reaches, ascending. The output of the cell is their mean."""
    alive = {0}
    for target, source in EDGES:
        if source in alive and cell[EDGE[target, source]]:
            alive.add(target)
    return tuple(sorted(alive - {0}))


def pruned(cell: Cell) -> Cell:
    """Return the cell without the edges that leave a vanished node. It computes the same."""
    alive = {0, *surviving(cell)}
    return tuple(edge if source in alive else 0 for edge, (_, source) in zip(cell, EDGES, strict=True))


def canonical(cell: Cell) -> Cell:
    """Return the same cell for all cells that differ only in the order of nodes, or in edges that leave vanished nodes.

    Every node has its own matrix with independent first values, so the order of the nodes makes no difference. Surviving nodes
    come first. Of all orders in which edges run forward, the function takes the order with the largest tuple.
    """
    bare, alive = pruned(cell), surviving(cell)
    entering = {node: {source for _, source in inputs(bare, node)} for node in alive}
    leaving = {
        node: tuple((target, edge) for (target, source), edge in zip(EDGES, bare, strict=True) if source == node and edge)
        for node in alive
    }
    orders: list[tuple[int, ...]] = [(0,)]
    edges: list[int] = []
    while len(orders[0]) <= len(alive):
        longer: dict[tuple[int, ...], dict[object, tuple[int, ...]]] = {}
        for order in orders:
            for node in alive:
                if node not in order and entering[node] <= set(order):
                    row = tuple(bare[EDGE[node, source]] if source < node else 0 for source in order)
                    # of two nodes with equal inputs and equal outputs, the first is enough
                    longer.setdefault(row, {}).setdefault((order, leaving[node]), (*order, node))
        largest = max(longer)
        orders = list(longer[largest].values())
        edges += largest
    return (*edges, *[0] * (len(EDGES) - len(edges)))
