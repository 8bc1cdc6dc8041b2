"""A step of the supernet's cell: a mixture of activations on all edges, or one cell as it is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.darts_rnn.cell import EDGE, NODES
from benchmarks.darts_rnn.dropout import Masks, masked
from benchmarks.darts_rnn.model import FUNCTIONS, LanguageModel


@dataclass(frozen=True)
class Entering:
    """What enters a node in one pass."""

    sources: tuple[int, ...]
    """States with an executed activation."""
    functions: tuple[int, ...]
    """The activations that are executed from any of these states."""
    weights: Tensor
    """(sources, functions), the weights of the terms; 0 for a term that is not executed."""
    idle: Tensor | None
    """A number that is added to the node (straight-through estimator)."""


@dataclass(frozen=True)
class Mixture:
    """The terms of one pass, and how nodes are formed from them.

    A pass with weights is DARTS' mixture: every node is the weighted sum of its terms, state 0 and the nodes are normalised,
    and the output is the mean of all nodes. A pass without weights is a cell as it is evaluated: every node is the mean of its
    terms, nothing is normalised, and the output is the mean of the surviving nodes.
    """

    rows: tuple[tuple[int, ...], ...]
    """For each edge, the numbers of its executed activations."""
    nodes: dict[int, Entering]
    """By node; a node without an entry vanishes."""
    weighted: bool

    @property
    def edges(self) -> int:
        """Number of edges with an executed activation."""
        return sum(len(entering.sources) for entering in self.nodes.values())


def mixture(
    rows: tuple[tuple[int, ...], ...], table: Tensor | None, device: torch.device, straight_through: bool = False
) -> Mixture:
    """Return the mixture of one pass.

    Args:
        rows: for each edge, the numbers of its executed activations.
        table: (36, 4), weights of the activations; None: a cell as it is evaluated.
        straight_through: an activation that is not executed adds its weight as a number.
    """
    nodes: dict[int, Entering] = {}
    for node in range(1, NODES + 1):
        edges = [EDGE[node, source] for source in range(node)]
        if table is None:
            sources = tuple(s for s, edge in enumerate(edges) if rows[edge] and (s in nodes or s == 0))
        else:
            sources = tuple(s for s, edge in enumerate(edges) if rows[edge])
        if table is None and not sources:
            continue
        functions = tuple(sorted({number for source in sources for number in rows[edges[source]]}))
        executed = [[float(number in rows[edges[source]]) for number in functions] for source in sources]
        weights = torch.tensor(executed, device=device).reshape(len(sources), len(functions))
        idle = None
        if table is None:
            weights = weights / weights.sum()
        else:
            chosen = table[[edges[source] for source in sources]][:, list(functions)]
            weights = chosen if all(all(row) for row in executed) else chosen * weights
            if straight_through:
                unused = [[float(number not in rows[edge]) for number in range(len(FUNCTIONS))] for edge in edges]
                idle = (table[edges] * torch.tensor(unused, device=device)).sum()
        nodes[node] = Entering(sources, functions, weights, idle)
    return Mixture(rows, nodes, table is not None)


class MixedStep:
    """A step of the supernet's cell.

    The sum over the terms ``s + g (f(v) - s)`` with gates g is formed for all sources of a node at once:
    ``sum_s (p_s s + g (sum_f p_sf f(v) - p_s s))`` with ``p_s = sum_f p_sf``.

    Args:
        model: the weights.
        norm: the one norm of state 0 and of all nodes.
        mixture: the terms.
    """

    def __init__(self, model: LanguageModel, norm: nn.Module, mixture: Mixture) -> None:
        self._model, self._norm, self._mixture = model, norm, mixture

    def __call__(self, projected: Tensor, hidden: Tensor, masks: Masks) -> Tensor:
        weighted = self._mixture.weighted
        state = self._model.state_0(projected, hidden, masks)
        states = {0: self._norm(state) if weighted else state}
        for node, entering in self._mixture.nodes.items():
            total = self._sum(node, entering, states, masks) if entering.sources else torch.zeros_like(state)
            if entering.idle is not None:
                total = total + entering.idle
            states[node] = self._norm(total) if weighted else total
        nodes = [states[node] for node in self._mixture.nodes]
        return torch.stack(nodes).mean(0) if nodes else states[0]

    def _sum(self, node: int, entering: Entering, states: dict[int, Tensor], masks: Masks) -> Tensor:
        """Return the weighted sum of a node's terms, (streams, width)."""
        before = torch.stack([states[source] for source in entering.sources])
        count, streams, width = before.shape
        product = masked(before, masks.hidden).view(count * streams, width) @ self._model.matrix(node)
        gate, values = product.view(count, streams, 2 * width).chunk(2, -1)
        activated = None
        for column, number in enumerate(entering.functions):
            term = entering.weights[:, column, None, None] * FUNCTIONS[number](values)
            activated = term if activated is None else activated + term
        assert activated is not None, "a source has an activation"
        carried = entering.weights.sum(1)[:, None, None] * before
        return (carried + gate.sigmoid() * (activated - carried)).sum(0)
