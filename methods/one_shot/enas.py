from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from harness.problem import Arch, Problem, SearchView
from methods.one_shot.parts import training

if TYPE_CHECKING:
    from methods.one_shot.parts.controller import Controller
    from methods.one_shot.parts.search import Search


@dataclass(frozen=True)
class Enas(training.WeightTraining):
    """ENAS: an LSTM draws a cell per batch to train the weights, and learns by REINFORCE from the supernet's accuracies."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    batch: Annotated[int, "images per step"] = 128
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.05
    lr_end: Annotated[float, "lowest learning rate of the cosine"] = 0.0005
    lr_horizon: Annotated[int, "epochs of half a cosine, which goes on and rises again"] = 10
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 2.5e-4
    controller_lr: Annotated[float, "Adam's learning rate of the controller"] = 1e-3
    controller_steps: Annotated[int, "controller updates per epoch"] = 50
    controller_samples: Annotated[int, "cells that an update averages over"] = 20
    controller_clip: Annotated[float, "largest norm of the controller's gradient"] = 5.0
    entropy_bonus: Annotated[float, "reward for the entropy of the controller's choices"] = 1e-4
    baseline_rate: Annotated[float, "how far a sample's baseline moves from the epoch's to its own reward"] = 0.01
    candidates: Annotated[int, "cells that the controller draws in the end, to be ranked"] = 100
    selection_batch: Annotated[int, "validation images that rank a cell"] = 512

    reference: ClassVar[str] = "arXiv:1802.03268"
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem)

    def search(self, view: SearchView) -> Arch:
        from methods.one_shot.parts.controller import Controller
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self)
        controller = Controller(search.net.decisions, search.new_generator("controller"), self.controller_lr)
        search.keep(controller=controller)
        for epoch in search.epochs():
            for batch in search.task.batches("train", self.batch, epoch):
                (cell,) = self._drawn(search, controller, 1)
                search.step_weights(search.loss(batch, Forward(active=search.net.only(cell))))
            self._teach(search, controller, epoch)
            search.record(Forward(active=search.net.only(cell)), entropy=controller.mean_entropy)
        return search.best_of(self._drawn(search, controller, self.candidates), self.selection_batch)

    def _drawn(self, search: Search, controller: Controller, count: int) -> list[Arch]:
        import torch

        with torch.no_grad():
            drawn = controller.sample(count, search.generator)
        return [search.net.derive(tables) for tables in drawn.tables()]

    def _teach(self, search: Search, controller: Controller, epoch: int) -> None:
        """The controller's updates of one epoch; rewards are accuracies (0 to 1) on augmented validation batches.

        The baseline stays for an epoch, so that what an update learns from barely moves; in the first, where there is none,
        a sample's own accuracy stands in for it.
        """
        import torch

        from methods.one_shot.parts.search import Forward

        rounds = (search.task.batches("valid", self.batch, epoch, f"controller {k}") for k in itertools.count())
        batches = itertools.chain.from_iterable(rounds)
        before = controller.baseline
        for _ in range(self.controller_steps):
            drawn = controller.sample(self.controller_samples, search.generator)
            archs = [search.net.derive(tables) for tables in drawn.tables()]
            scores = [search.score(next(batches), Forward(active=search.net.only(arch)))[0] for arch in archs]
            accuracies = [accuracy / 100 for accuracy in torch.stack(scores).tolist()]
            rewards = [a + self.entropy_bonus * e for a, e in zip(accuracies, drawn.entropies.tolist(), strict=True)]
            baselines = accuracies if before is None else [before + self.baseline_rate * (r - before) for r in rewards]
            controller.reinforce(
                drawn, [reward - one for reward, one in zip(rewards, baselines, strict=True)], self.controller_clip
            )
            controller.baseline = baselines[-1]
