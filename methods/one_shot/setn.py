from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Setn(training.WeightTraining):
    """SETN: uniformly random cells train the weights, the full mixture trains the logits; the likeliest cells are ranked."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    clip: Annotated[float, "largest norm of the weights' gradient; 0: not clipped"] = 0.0
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 3e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3
    candidates: Annotated[int, "likeliest cells that are ranked in the end"] = 100
    selection_batch: Annotated[int, "validation images that rank a cell"] = 512

    reference: ClassVar[str] = "arXiv:1910.05733"
    citations: ClassVar[tuple[str, ...]] = ("dong2019setn",)
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True) or training.skip_chosen_edges(problem)

    def search(self, view: SearchView) -> Arch:
        import torch

        from methods.one_shot.parts.architecture import SoftmaxAdam, likeliest, mixture
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self)
        logits = SoftmaxAdam(search, self.arch_lr, self.arch_decay)
        search.keep(logits=logits)
        for epoch in search.epochs(evaluated=self.candidates * self.selection_batch):
            for train, valid in search.task.pairs(self.batch, epoch):
                cell = search.net.only(view.space.sample(search.rng))
                search.step_weights(search.loss(train, Forward(active=cell)))
                logits.step(torch.autograd.grad(search.loss(valid, mixture(logits)), logits.values))
            table = [p.detach() for p in logits.probabilities()]
            view.propose(search.net.derive(table))
            search.record(Forward(table), table)
        tables = likeliest([p.detach() for p in logits.probabilities()], self.candidates)
        return search.best_of([search.net.derive(one) for one in tables], self.selection_batch)
