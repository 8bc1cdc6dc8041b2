from __future__ import annotations

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
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.experts import Experts
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self, none=False)
        (decision,) = search.net.decisions
        rounds = self.epochs * search.task.images["train"]
        experts = Experts(decision.rows, len(decision.options), rounds, self.reward_bound, search.device)
        search.keep(experts=experts)
        for epoch in search.epochs():
            # what is wiped out within an epoch runs on with weight zero until its end: looking would wait for the device
            alive = _alive(experts.mixture)
            for train, valid in search.task.pairs(self.batch, epoch):
                self._reward(search, experts, valid, alive)
                search.step_weights(search.loss(train, Forward([experts.mixture.float()], alive)))
            mixture = experts.mixture.float()
            view.propose(search.net.derive([mixture]))
            search.record(Forward([mixture], _alive(mixture)), [mixture], alive=float((mixture > 0).sum()))
        return search.net.derive([experts.mixture])

    def _reward(self, search: Search, experts: Experts, valid: Batch, alive: Active) -> None:
        """``-d loss / d weight`` of every image's own weights is what its loss would lose by more of an operation."""
        import torch

        from methods.one_shot.parts.search import Forward

        mixture = experts.mixture.float()
        own = mixture.expand(len(valid[1]), *mixture.shape).contiguous().requires_grad_()
        loss = search.loss(valid, Forward([own], alive), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, own)
        experts.step(-gradient)


def _alive(mixture: Tensor) -> Active:
    """What has not been wiped out."""
    return (tuple(tuple(row.nonzero().flatten().tolist()) for row in mixture),)
