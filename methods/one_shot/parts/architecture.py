"""Architecture parameters: how they become weights on operations, and how a gradient moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.one_shot.parts.exponentiated import Order, exponentiated_step
from methods.one_shot.parts.gumbel import gumbel_one_hot, gumbel_softmax
from methods.one_shot.parts.search import Forward, Search


class Mixed(Protocol):
    """Parameters that become weights on operations."""

    values: list[Tensor]
    """Leaves (rows, options), one per decision."""

    def probabilities(self) -> list[Tensor]:
        """The weights, differentiable: rows on the simplex, except where a method has none (SparseNAS)."""
        ...


class Architecture(Mixed, Protocol):
    """Architecture parameters of every decision of a space, and what moves them."""

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update along gradients of the values."""
        ...

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class SoftmaxAdam:
    """Logits, 1e-3 N(0, 1) at first, moved by Adam with an L2 penalty: DARTS and most of its kin."""

    def __init__(self, search: Search, lr: float, decay: float, betas: tuple[float, float] = (0.5, 0.999)) -> None:
        generator = search.new_generator("logits")
        drawn = [1e-3 * torch.randn(one.rows, len(one.options), generator=generator) for one in search.net.decisions]
        self.values = [logits.to(search.device).requires_grad_() for logits in drawn]
        self._adam = torch.optim.Adam(self.values, lr=lr, betas=betas, weight_decay=decay)

    def probabilities(self) -> list[Tensor]:
        return [logits.softmax(-1) for logits in self.values]

    def step(self, gradients: Sequence[Tensor]) -> None:
        for value, gradient in zip(self.values, gradients, strict=True):
            value.grad = gradient
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return {
            **{"values": [value.detach() for value in self.values], "adam": self._adam.state_dict()},
            "gradients": [value.grad for value in self.values],  # the next clipped norm may count them
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for value, kept, gradient in zip(self.values, state["values"], state["gradients"], strict=True):
                value.copy_(kept)
                value.grad = gradient
        self._adam.load_state_dict(state["adam"])


class SimplexEG:
    """Points on the simplex, its centre at first, moved by exponentiated gradient: GAEA (eq. 8).

    Args:
        floor: weights of operations are raised to this.
        edge_floor: of edge weights, which the code released for the DARTS space does not keep off zero.
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
        self.values = [torch.full((one.rows, len(one.options)), 1 / len(one.options)).to(search.device) for one in decisions]
        for value in self.values:
            value.requires_grad_()
        self._floors = [floor if one.kind == "operation" else edge_floor for one in decisions]
        self._lr, self._order = lr, order

    def probabilities(self) -> list[Tensor]:
        return self.values

    def step(self, gradients: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for value, gradient, floor in zip(self.values, gradients, self._floors, strict=True):
                value.copy_(exponentiated_step(value, gradient, self._lr, floor, self._order))

    def state_dict(self) -> dict[str, Any]:
        return {"values": [value.detach() for value in self.values]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for value, kept in zip(self.values, state["values"], strict=True):
                value.copy_(kept)


class Relaxation(Protocol):
    """From architecture parameters to a pass; drawn anew at every call where it is random."""

    def __call__(self, architecture: Mixed) -> Forward: ...


def likeliest(tables: Sequence[Tensor], count: int) -> list[list[Tensor]]:
    """The ``count`` choices of one option per row with the highest joint probability, as one-hot tables, likeliest first.

    Row by row: an optimum over more rows extends an optimum over fewer.
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for row in (row for table in tables for row in table.log().tolist()):
        longer = [(score + p, (*chosen, option)) for score, chosen in best for option, p in enumerate(row)]
        best = sorted(longer, key=lambda one: (-one[0], one[1]))[:count]
    found = []
    for _, chosen in best:
        options = torch.split(torch.tensor(chosen), [len(table) for table in tables])
        found.append([F.one_hot(some, table.shape[-1]) for some, table in zip(options, tables, strict=True)])
    return found


def mixture(architecture: Mixed) -> Forward:
    """Every operation runs, weighted by its probability (DARTS)."""
    return Forward(architecture.probabilities())


class HardGumbel:
    """One operation per row, drawn by the Gumbel trick, with the gradient of the softmax (GDAS).

    Weights of edges, where a space has them, are drawn by the same trick and stay soft, as in NAS-Bench-1Shot1's code.
    """

    def __init__(self, search: Search) -> None:
        self._generator, self._decisions = search.generator, search.net.decisions
        self.temperature = 10.0

    def __call__(self, architecture: Mixed) -> Forward:
        drawn: list[Tensor] = []
        active: list[tuple[tuple[int, ...], ...]] = []
        for p, one in zip(architecture.probabilities(), self._decisions, strict=True):
            sample = gumbel_one_hot if one.kind == "operation" else gumbel_softmax
            table = sample(p.log(), self.temperature, self._generator)
            drawn.append(table)
            if one.kind == "operation":
                active.append(tuple((option,) for option in table.argmax(-1).tolist()))
            else:
                active.append((tuple(range(len(one.options))),) * one.rows)
        return Forward(drawn, tuple(active), straight_through=True)
