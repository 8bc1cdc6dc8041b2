from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from torch import Tensor

    from harness.weight_sharing import Decision
    from methods.one_shot.parts.search import Search


@dataclass(frozen=True)
class SparseNas(training.WeightTraining):
    """SparseNAS: real weights on all operations under a sparse group lasso, whose proximal steps make most of them zero.

    The groups are all weights that enter a node. On NAS-Bench-201 an edge keeps its operation of largest absolute weight, and
    is ``none`` where all its weights are zero; elsewhere any number of operations stays.
    """

    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.0
    nesterov: Annotated[bool, "Nesterov's form of momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    optimiser: Annotated[Literal["hapg", "adam_hapg", "adam"], "of the architecture; Adam alone has a threshold in the end"] = (
        "hapg"
    )
    arch_lr: Annotated[float, "step size of the architecture"] = 0.025
    arch_cosine: Annotated[bool, "whether that step size falls with the weights' learning rate"] = True
    mixture: Annotated[float, "share of the l1 term in the penalty (alpha)"] = 0.5
    first_strength: Annotated[float, "lambda in the first epoch (D-19)"] = 0.01
    strength_step: Annotated[float, "by how much lambda grows each epoch"] = 0.01
    initial: Annotated[float, "architecture weights at first; 0: one over the number of operations (D-16)"] = 0.0
    second_order: Annotated[bool, "the architecture's gradient looks through one step of the weights"] = True
    tolerance: Annotated[
        float, "absolute weights up to this count as zero: 0 for the proximal methods (D-17), Adam needs one"
    ] = 0.0

    reference: ClassVar[str] = "arXiv:2009.08966"
    citations: ClassVar[tuple[str, ...]] = ("wu2021sparsenas",)
    settings: ClassVar[dict[str, dict[str, object]]] = {"darts": {**training.DARTS}}
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "hapg": {},
        "adam_hapg": {"optimiser": "adam_hapg", "arch_lr": 3e-4, "arch_cosine": False},
        "adam": {"optimiser": "adam", "arch_lr": 3e-4, "arch_cosine": False, "tolerance": 1e-3},
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch | None:
        from methods.one_shot.parts.differentiable import batches
        from methods.one_shot.parts.proximal import path_strength
        from methods.one_shot.parts.search import Forward, Search
        from methods.one_shot.parts.unrolled import architecture_gradient

        search = Search(view, self, none=False)
        sparse = _SparseWeights(search, self)
        search.keep(architecture=sparse)
        for epoch in search.epochs():
            strength = path_strength(epoch, self.strength_step, self.first_strength)
            rate = self.arch_lr * (search.lr / self.lr if self.arch_cosine else 1.0)
            for train, valid in batches(search, "bilevel", epoch):
                gradients = architecture_gradient(search, sparse, train, valid, self.second_order)
                sparse.step(gradients, rate, strength)
                search.step_weights(search.loss(train, Forward([value.detach() for value in sparse.values])))
            arch = self._derived(search, sparse)
            if arch in view.space:  # in the DARTS space a cell may have lost all its nodes: what was before it stands
                view.propose(arch)
            found = sparse.sparse()
            kept = sum(int((table.abs() > self.tolerance).sum()) for table in found)
            search.record(Forward(found), kept=float(kept))
        view.log(**_named(search.net.decisions, sparse.sparse()))
        return None

    def _derived(self, search: Search, sparse: _SparseWeights) -> Arch:
        """Everything that has weight, where an edge holds any number of operations; else the heaviest on each edge."""
        scores = self._scores(sparse)
        if not all(one.several for one in search.net.decisions):
            return search.net.derive(scores)
        active = tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in table) for table in scores)
        return search.net.holding(active)

    def _scores(self, sparse: _SparseWeights) -> list[Tensor]:
        """Absolute weights, zero where they count as zero; ``none`` scores above zero and below all others."""
        return [table.abs().where(table.abs() > self.tolerance, 0.0) for table in sparse.sparse()]


def _named(decisions: Sequence[Decision], tables: Sequence[Tensor]) -> dict[str, float]:
    """Every weight under ``weight/DECISION/ROW/OPTION``."""
    return {
        f"weight/{one.name}/{row}/{option}": value
        for one, table in zip(decisions, tables, strict=True)
        for row, values in enumerate(table.tolist())
        for option, value in zip(one.options, values, strict=True)
    }


class _SparseWeights:
    """Architecture weights of every decision with an optimiser each."""

    def __init__(self, search: Search, settings: SparseNas) -> None:
        import torch

        from methods.one_shot.parts.proximal import AdamHapg, Hapg

        self.settings = settings
        self.values: list[Tensor] = []
        self._optimisers: list[Any] = []
        self._sizes: list[list[int]] = []
        for decision in search.net.decisions:
            options = len(decision.options)
            start = settings.initial or 1 / options
            value = torch.full((decision.rows, options), start).to(search.device).requires_grad_()
            nodes = sorted(set(decision.targets))
            sizes = [decision.targets.count(node) * options for node in nodes]
            self.values.append(value)
            self._sizes.append(sizes)
            if settings.optimiser == "adam":
                self._optimisers.append(torch.optim.Adam([value], lr=settings.arch_lr, betas=(0.5, 0.999)))
            else:
                kind = Hapg if settings.optimiser == "hapg" else AdamHapg
                self._optimisers.append(kind(value.detach(), sizes, settings.mixture))

    def probabilities(self) -> list[Tensor]:
        """The weights themselves: they are no probabilities, but what a mixture takes."""
        return self.values

    def step(self, gradients: list[Tensor], rate: float, strength: float) -> None:
        import torch

        from methods.one_shot.parts.proximal import sparse_group_lasso

        for value, gradient, optimiser, sizes in zip(self.values, gradients, self._optimisers, self._sizes, strict=True):
            if self.settings.optimiser == "adam":
                penalty = sparse_group_lasso(value, strength, self.settings.mixture, sizes)
                (by_penalty,) = torch.autograd.grad(penalty, value)
                value.grad = gradient + by_penalty
                optimiser.step()
            else:
                optimiser.step(gradient, rate, strength)

    def sparse(self) -> list[Tensor]:
        """The proximal points, which are exactly sparse where the weights are not (D-17); Adam's weights themselves."""
        if self.settings.optimiser == "adam":
            return [value.detach() for value in self.values]
        return [optimiser.sparse for optimiser in self._optimisers]

    def state_dict(self) -> dict[str, Any]:
        return {"values": [v.detach() for v in self.values], "optimisers": [one.state_dict() for one in self._optimisers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for value, kept in zip(self.values, state["values"], strict=True):
                value.copy_(kept)
        for one, kept in zip(self._optimisers, state["optimisers"], strict=True):
            one.load_state_dict(kept)
