from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Setn(training.WeightTraining):
    """SETN: random cells train the weights, and the full mixture trains the logits; the likeliest cells are ranked."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    clip: Annotated[float, "largest norm of the weights' gradient; 0: not clipped"] = 0.0
    arch_lr: Annotated[float, "Adam's learning rate of the architecture"] = 3e-4
    arch_decay: Annotated[float, "L2 penalty on the logits"] = 1e-3
    candidates: Annotated[int, "likeliest cells that are ranked at the end"] = 100
    selection_batch: Annotated[int, "validation images that rank a cell"] = 512

    reference: ClassVar[str] = "arXiv:1910.05733"
    citations: ClassVar[tuple[str, ...]] = ("dong2019setn",)
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem, on_edges=True) or training.skip_chosen_edges(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.architecture import SoftmaxAdam, likeliest
        from methods.one_shot.parts.passes import Forward
        from methods.one_shot.parts.search import Search
        from methods.one_shot.parts.unrolled import architecture_gradient

        search = Search(view, self)
        logits = SoftmaxAdam(search, self.arch_lr, self.arch_decay)
        search.keep(logits=logits)

        def candidates() -> list[Arch]:
            choices = likeliest([p.detach() for p in logits.probabilities()], self.candidates)
            return [search.derive(choice) for choice in choices]

        search.priced = lambda: [Forward(active=search.net.active_for(arch)) for arch in candidates()]
        for epoch in search.epochs(evaluated=self.candidates * self.selection_batch):
            for train, valid in search.steps(search.task.pairs(self.batch, epoch)):
                cell = search.net.active_for(view.space.sample(search.rng))
                search.step_weights(search.loss(train, Forward(active=cell)))
                logits.step(architecture_gradient(search, logits, train, valid, second_order=False))
            table = [p.detach() for p in logits.probabilities()]
            view.propose(search.derive(table))
            search.record(Forward(table), table)
        return search.best_of(candidates(), self.selection_batch)
