"""The search of SparseNAS, and its architecture weights (arXiv:2009.08966)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.space import Arch
from harness.steps import Number
from harness.view import SearchView
from methods.one_shot.parts import operations
from methods.one_shot.parts.adam import AdamSteps, set_gradient
from methods.one_shot.parts.differentiable import batches
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.proximal import AdamHapg, Hapg, path_strength, sparse_group_lasso
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.unrolled import architecture_gradient

if TYPE_CHECKING:
    from harness.weight_sharing import Batch, Decision
    from methods.one_shot.sparse_nas import SparseNas


def search(view: SearchView, settings: SparseNas) -> None:
    """Train architecture and weights in turn, propose the sparse architecture of each epoch, and log all weights at the end.

    Each epoch logs how many weights are not zero (``kept``), how many groups have such a weight (``groups``), and whether its
    architecture is the new proposal (``proposed``). A cell of the DARTS space may lose all its nodes (D-19). Then the proposal
    of an earlier epoch stays, and reports say so.
    """
    search = Search(view, settings, none=False, **operations.choices(settings.operations))
    weights = SparseWeights(search, settings)
    search.keep(architecture=weights)

    def of_architecture(
        train: Batch, valid: Batch, lr: Number, rate: Number, strength: Number, numbers: Sequence[Sequence[Number]]
    ) -> None:
        gradients = architecture_gradient(search, weights, train, valid, settings.second_order, rate=lr)
        weights.step(gradients, rate, strength, numbers)

    def of_weights(train: Batch, lr: Number) -> Tensor:
        return search.descend(search.loss(train, Forward([value.detach() for value in weights.values])), lr)

    step_architecture, step_weights = search.step(of_architecture), search.step(of_weights)
    for epoch in search.epochs():
        strength = path_strength(search.position, settings.strength_step, settings.first_strength)
        rate = settings.arch_lr * (search.lr / settings.lr if settings.arch_cosine else 1.0)
        with search.until_spent():
            for train, valid in search.steps(batches(search, "bilevel", epoch)):
                step_architecture(train, valid, search.step_size, rate, strength, weights.advance())
                search.finish_step(step_weights(train, search.step_size))
        scores = weights.scores()
        arch = _derived(search, scores)
        proposed = arch in view.space
        if proposed:
            view.propose(arch)
        nonzero, groups = sum(int((table > 0).sum()) for table in scores), weights.living(scores)
        search.record(Forward(weights.sparse()), kept=float(nonzero), groups=float(groups), proposed=float(proposed))
    view.log(**_named(search.net.decisions, weights.sparse()))


def _derived(search: Search, scores: list[Tensor]) -> Arch:
    """Return all options with a score if rows may have several, else the architecture of the highest scores."""
    if not all(decision.several for decision in search.net.decisions):
        return search.derive(scores)
    return search.net.arch_of(tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in table) for table in scores))


def _named(decisions: Sequence[Decision], tables: Sequence[Tensor]) -> dict[str, float]:
    """Return every weight under the name ``weight/DECISION/ROW/OPTION``."""
    return {
        f"weight/{decision.name}/{row}/{option}": value
        for decision, table in zip(decisions, tables, strict=True)
        for row, values in enumerate(table.tolist())
        for option, value in zip(decision.options, values, strict=True)
    }


class SparseWeights:
    """The architecture weights of every decision, each with its optimiser."""

    def __init__(self, search: Search, settings: SparseNas) -> None:
        self.settings = settings
        self.values: list[Tensor] = []
        """Leaves (rows, options), one per decision."""
        self._optimisers: list[Any] = []
        self._sizes: list[list[int]] = []
        for decision in search.net.decisions:
            options = len(decision.options)
            start = settings.initial or 1 / options
            value = torch.full((decision.rows, options), start).to(search.device).requires_grad_()
            sizes = [decision.targets.count(node) * options for node in sorted(set(decision.targets))]
            self.values.append(value)
            self._sizes.append(sizes)
            if settings.optimiser == "adam":
                self._optimisers.append(AdamSteps([value], settings.arch_lr))
            else:
                kind = Hapg if settings.optimiser == "hapg" else AdamHapg
                self._optimisers.append(kind(value.detach(), sizes, settings.mixture))

    def probabilities(self) -> list[Tensor]:
        """Return the weights themselves. They are not probabilities, but they are what a mixture takes."""
        return self.values

    def advance(self) -> list[Sequence[float]]:
        """Count a step, and return its numbers that differ from step to step."""
        if self.settings.optimiser == "adam":
            return [optimiser.advance([True])[0] for optimiser in self._optimisers]
        return [optimiser.advance() for optimiser in self._optimisers]

    def step(self, gradients: list[Tensor], rate: Number, strength: Number, numbers: Sequence[Sequence[Number]]) -> None:
        """Take one step.

        Args:
            gradients: gradients of the validation loss by the values.
            rate: step size; Adam has its own.
            strength: lambda of the sparse group lasso.
            numbers: what :meth:`advance` returned for this step.
        """
        parts = zip(self.values, gradients, self._optimisers, self._sizes, numbers, strict=True)
        for value, gradient, optimiser, sizes, ahead in parts:
            if self.settings.optimiser == "adam":
                penalty = sparse_group_lasso(value, strength, self.settings.mixture, sizes)
                (by_penalty,) = torch.autograd.grad(penalty, value)
                set_gradient(value, gradient + by_penalty)
                optimiser.step([ahead])
            else:
                optimiser.step(gradient, rate, strength, ahead)

    def sparse(self) -> list[Tensor]:
        """Return the proximal points, which are exactly sparse while the weights are not (D-17); for Adam the weights."""
        if self.settings.optimiser == "adam":
            return [value.detach() for value in self.values]
        return [optimiser.sparse.clone() for optimiser in self._optimisers]

    def scores(self) -> list[Tensor]:
        """Return the absolute sparse weights, with zero for those up to the tolerance."""
        return [table.abs().where(table.abs() > self.settings.tolerance, 0.0) for table in self.sparse()]

    def living(self, scores: list[Tensor]) -> int:
        """Return the number of groups with a score above zero. A group is all weights that enter a node."""
        tables = zip(scores, self._sizes, strict=True)
        return sum(bool((group > 0).any()) for table, sizes in tables for group in torch.split(table.flatten(), sizes))

    def state_dict(self) -> dict[str, Any]:
        return {
            "values": [value.detach() for value in self.values],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for value, stored in zip(self.values, state["values"], strict=True):
                value.copy_(stored)
        for optimiser, stored in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored)
