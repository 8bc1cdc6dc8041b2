from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from torch import Tensor

    from harness.weight_sharing import Active, Batch
    from methods.one_shot.parts.experts import Experts
    from methods.one_shot.parts.search import Search


@dataclass(frozen=True)
class Xnas(training.WeightTraining):
    """XNAS: operations as experts, rewarded by every validation image, and wiped out once they cannot win any more.

    A reward is summed over the cells of the network, which share their experts: a round is one image.
    """

    nesterov: Annotated[bool, "Nesterov's form of momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    reward_bound: Annotated[float, "L, at which rewards are clipped; archai takes the weights' clipping norm"] = 5.0

    reference: ClassVar[str] = "arXiv:1906.08031"
    citations: ClassVar[tuple[str, ...]] = ("nayman2019xnas",)
    compared_with: ClassVar[str] = "darts:bilevel"
    settings: ClassVar[dict[str, dict[str, object]]] = {"darts": {**training.DARTS}}
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.experts import Experts
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self, none=False)
        rounds = self.epochs * search.task.images["train"]
        experts = [
            Experts(one.rows, len(one.options), rounds, self.reward_bound, search.device) for one in search.net.decisions
        ]
        search.keep(**{f"experts of {d.name}": one for d, one in zip(search.net.decisions, experts, strict=True)})
        for epoch in search.epochs():
            # what is wiped out within an epoch runs on with weight zero until its end: looking would wait for the device
            alive = _alive(experts)
            for train, valid in search.task.pairs(self.batch, epoch):
                self._reward(search, experts, valid, alive)
                search.step_weights(search.loss(train, Forward(_mixtures(experts), alive)))
            mixtures = _mixtures(experts)
            view.propose(search.net.derive(mixtures))
            left = float(sum((mixture > 0).sum() for mixture in mixtures))
            search.record(Forward(mixtures, _alive(experts)), mixtures, alive=left)
        arch = search.net.derive(_mixtures(experts))
        search.record_discretised(arch)
        return arch

    def _reward(self, search: Search, experts: Sequence[Experts], valid: Batch, alive: Active) -> None:
        """``-d loss / d weight`` of every image's own weights is what its loss would lose by more of an operation."""
        import torch

        from methods.one_shot.parts.search import Forward

        own = [mixture.expand(len(valid[1]), *mixture.shape).contiguous().requires_grad_() for mixture in _mixtures(experts)]
        loss = search.loss(valid, Forward(own, alive), reduction="sum")
        for one, gradient in zip(experts, torch.autograd.grad(loss, own), strict=True):
            one.step(-gradient)


def _mixtures(experts: Sequence[Experts]) -> list[Tensor]:
    return [one.mixture.float() for one in experts]


def _alive(experts: Sequence[Experts]) -> Active:
    """What has not been wiped out."""
    return tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in one.mixture) for one in experts)
