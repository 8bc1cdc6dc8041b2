"""Architecture parameters: their weights on operations, and their updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.steps import Number
from methods.one_shot.parts.adam import AdamSteps, set_gradient
from methods.one_shot.parts.exponentiated import Order, exponentiated_step
from methods.one_shot.parts.gumbel import gumbel_one_hot, gumbel_softmax
from methods.one_shot.parts.passes import CellForward, Forward
from methods.one_shot.parts.search import Search

Noise = Literal["network", "cell"]
Unsampled = Literal["number", "nothing"]
Numbers = Sequence[tuple[Number, Number]]
"""Numbers of a step that differ from step to step; see :meth:`Architecture.advance`."""


class Mixed(Protocol):
    """Parameters that define weights on operations."""

    values: list[Tensor]
    """Leaves (rows, options), one per decision."""

    def probabilities(self) -> list[Tensor]:
        """Return the weights, differentiable. Rows are on the simplex, except for SparseNAS."""
        ...


class Architecture(Mixed, Protocol):
    """Architecture parameters of every decision of a space, and their optimiser."""

    def advance(self) -> Sequence[tuple[float, float]]:
        """Count a step, and return its numbers that differ from step to step."""
        ...

    def step(self, gradients: Sequence[Tensor], numbers: Numbers | None = None) -> None:
        """Take one step along the gradients of the values.

        Args:
            numbers: what :meth:`advance` returned for this step; None: it is called now.
        """
        ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class SoftmaxAdam:
    """Logits that start as 1e-3 N(0, 1), moved by Adam with an L2 penalty: DARTS and most of its successors."""

    def __init__(self, search: Search, lr: float, decay: float) -> None:
        generator = search.new_generator("logits")
        drawn = [1e-3 * torch.randn(d.rows, len(d.options), generator=generator) for d in search.net.decisions]
        self.values = [logits.to(search.device).requires_grad_() for logits in drawn]
        self._adam = AdamSteps(self.values, lr, (search.task.rules.arch_beta, 0.999), decay=decay)

    def probabilities(self) -> list[Tensor]:
        return [logits.softmax(-1) for logits in self.values]

    def advance(self) -> Sequence[tuple[float, float]]:
        return self._adam.advance([True] * len(self.values))

    def step(self, gradients: Sequence[Tensor], numbers: Numbers | None = None) -> None:
        for value, gradient in zip(self.values, gradients, strict=True):
            set_gradient(value, gradient)
        self._adam.step(numbers)

    def state_dict(self) -> dict[str, Any]:
        return {
            "values": [value.detach() for value in self.values],
            "adam": self._adam.state_dict(),
            "gradients": [value.grad for value in self.values],  # the next clipped norm may count them
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for value, stored, gradient in zip(self.values, state["values"], state["gradients"], strict=True):
                value.copy_(stored)
                value.grad = gradient
        self._adam.load_state_dict(state["adam"])


class SimplexEG:
    """Points on the simplex that start at its centre, moved by exponentiated gradient: GAEA (eq. 8).

    Args:
        search: the search.
        lr: rate.
        order: see :func:`methods.one_shot.parts.exponentiated.exponentiated_step`.
        floor: weights of operations are raised to this.
        edge_floor: weights of edges are raised to this; the code released for the DARTS space does not raise them.
    """

    def __init__(
        self,
        search: Search,
        lr: float,
        order: Order = "clamp_normalise",
        floor: float = 1e-5,
        edge_floor: float = 0.0,
    ) -> None:
        decisions = search.net.decisions
        self.values = [torch.full((d.rows, len(d.options)), 1 / len(d.options)).to(search.device) for d in decisions]
        for value in self.values:
            value.requires_grad_()
        self._floors = [floor if d.kind == "operation" else edge_floor for d in decisions]
        self._lr, self._order = lr, order

    def probabilities(self) -> list[Tensor]:
        return self.values

    def advance(self) -> Sequence[tuple[float, float]]:
        return ()

    def step(self, gradients: Sequence[Tensor], numbers: Numbers | None = None) -> None:
        with torch.no_grad():
            for value, gradient, floor in zip(self.values, gradients, self._floors, strict=True):
                value.copy_(exponentiated_step(value, gradient, self._lr, floor, self._order))

    def state_dict(self) -> dict[str, Any]:
        return {"values": [value.detach() for value in self.values]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for value, stored in zip(self.values, state["values"], strict=True):
                value.copy_(stored)


class Relaxation(Protocol):
    """Turns architecture parameters into a pass. If it is random, every call draws again."""

    def __call__(self, architecture: Mixed) -> Forward | CellForward: ...


def likeliest(tables: Sequence[Tensor], count: int) -> list[list[Tensor]]:
    """Return the ``count`` choices of one option per row with the highest joint probability, likeliest first.

    Each choice is a list of one-hot tables. The search proceeds row by row: the best choices over more rows extend the best
    choices over fewer.
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for row in (row for table in tables for row in table.log().tolist()):
        longer = [(score + p, (*chosen, option)) for score, chosen in best for option, p in enumerate(row)]
        best = sorted(longer, key=lambda entry: (-entry[0], entry[1]))[:count]
    choices = []
    for _, chosen in best:
        options = torch.split(torch.tensor(chosen), [len(table) for table in tables])
        choices.append([F.one_hot(rows, table.shape[-1]) for rows, table in zip(options, tables, strict=True)])
    return choices


def mixture(architecture: Mixed) -> Forward:
    """Return a pass that executes every operation, weighted by its probability (DARTS)."""
    return Forward(architecture.probabilities())


class HardGumbel:
    """Draws one operation per row by the Gumbel trick, with the gradient of the softmax (GDAS).

    The weights of edges, in spaces that have them, are drawn by the same trick and stay soft, as in NAS-Bench-1Shot1's code.

    Args:
        search: the search.
        noise: ``network``: a pass draws once, for all cells; ``cell``: it draws again for each cell of the network (D-47).
        unsampled: ``number``: an operation that was not drawn adds its weight as a number, and so has a gradient; ``nothing``:
            it adds nothing and has none (D-47).
    """

    def __init__(self, search: Search, noise: Noise = "network", unsampled: Unsampled = "number") -> None:
        self._generator, self._decisions = search.noise, search.net.decisions
        self._cells = search.net.cells if noise == "cell" else 1
        self._shared, self._straight_through = noise == "network", unsampled == "number"
        self.temperature = 10.0

    def __call__(self, architecture: Mixed) -> Forward | CellForward:
        tables = [
            (gumbel_one_hot if decision.kind == "operation" else gumbel_softmax)(
                p.log().expand(self._cells, *p.shape), self.temperature, self._generator
            )
            for p, decision in zip(architecture.probabilities(), self._decisions, strict=True)
        ]
        drawn = [table.unbind() for table in tables]
        of_operations = [table for table, decision in zip(tables, self._decisions, strict=True) if decision.kind == "operation"]
        choices = iter(torch.cat([table.argmax(-1).flatten() for table in of_operations]).tolist())  # one wait for all
        active: list[list[tuple[tuple[int, ...], ...]]] = []
        for decision in self._decisions:
            if decision.kind == "operation":
                active.append([tuple((next(choices),) for _ in range(decision.rows)) for _ in range(self._cells)])
            else:
                active.append([(tuple(range(len(decision.options))),) * decision.rows] * self._cells)
        weights, options = list(zip(*drawn, strict=True)), list(zip(*active, strict=True))
        if self._shared:
            return Forward(weights[0], options[0], self._straight_through)
        return CellForward(weights, options, self._straight_through)
