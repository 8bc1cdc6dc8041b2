from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

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
    controller_size: Annotated[int, "units of the LSTM"] = 32
    controller_beta: Annotated[float, "Adam's first decay rate for the controller"] = 0.0
    op_bound: Annotated[float, "largest logit of an operation"] = 2.5
    baseline_rate: Annotated[float, "how far a sample's baseline moves from the one in force to its own reward"] = 0.01
    baseline_moves: Annotated[Literal["every_epoch", "every_update"], "when that comes into force"] = "every_epoch"
    candidates: Annotated[int, "cells that the controller draws, to be ranked"] = 100
    selection_batch: Annotated[int, "validation images that rank a cell"] = 512
    finalists: Annotated[int, "best cells that are ranked again on all validation images; 0: none"] = 0
    selects: Annotated[Literal["at_the_end", "every_epoch"], "when cells are ranked and the best proposed"] = "at_the_end"

    reference: ClassVar[str] = "arXiv:1802.03268"
    citations: ClassVar[tuple[str, ...]] = ("pham2018enas",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        # the code keeps 45 000 images for weights, ranks on the *test set*, and steps the cosine per batch: none of it here
        "nb1shot1": {
            **training.NB1SHOT1,
            **{"batch": 64, "lr": 0.025, "lr_end": 0.001, "lr_horizon": 0, "weight_decay": 1e-4, "clip": 0.25},
            **{"controller_lr": 3.5e-4, "controller_steps": 300, "controller_samples": 1, "controller_size": 64},
            **{"controller_beta": 0.1, "op_bound": 0.5, "baseline_moves": "every_update"},
            **{"candidates": 1000, "selection_batch": 64, "finalists": 5, "selects": "every_epoch"},
        },
        "toy_sharing": {"controller_steps": 2, "controller_samples": 3, "candidates": 10},
    }

    def skip(self, problem: Problem) -> str | None:
        return training.skip(problem) or training.skip_chosen_edges(problem)

    def search(self, view: SearchView) -> Arch | None:
        from methods.one_shot.parts.controller import Controller
        from methods.one_shot.parts.search import Forward, Search

        search = Search(view, self)
        controller = Controller(
            search.net.decisions,
            search.new_generator("controller"),
            self.controller_lr,
            beta=self.controller_beta,
            size=self.controller_size,
            op_bound=self.op_bound,
        )
        search.keep(controller=controller)
        ranked = self.candidates * self.selection_batch if self.selects == "at_the_end" else 0
        for epoch in search.epochs(evaluated=ranked):
            for batch in search.task.batches("train", self.batch, epoch):
                (cell,) = self._drawn(search, controller, 1)
                search.step_weights(search.loss(batch, Forward(active=search.net.only(cell))))
            self._teach(search, controller, epoch)
            if self.selects == "every_epoch":
                view.propose(self._selected(search, controller))
            search.record(Forward(active=search.net.only(cell)), entropy=controller.mean_entropy)
        return None if self.selects == "every_epoch" else self._selected(search, controller)

    def _selected(self, search: Search, controller: Controller) -> Arch:
        drawn = self._drawn(search, controller, self.candidates)
        return search.best_of(drawn, self.selection_batch, finalists=self.finalists)

    def _drawn(self, search: Search, controller: Controller, count: int) -> list[Arch]:
        import torch

        with torch.no_grad():
            drawn = controller.sample(count, search.generator)
        return [search.net.derive(tables) for tables in drawn.tables()]

    def _teach(self, search: Search, controller: Controller, epoch: int) -> None:
        """The controller's updates of one epoch; rewards are accuracies (0 to 1) on augmented validation batches.

        On NAS-Bench-201 the baseline stays for an epoch, so that what an update learns from barely moves; in the first, where
        there is none, a sample's own accuracy stands in for it.
        """
        import torch

        from methods.one_shot.parts.search import Forward

        rounds = (search.task.batches("valid", self.batch, epoch, f"controller {k}") for k in itertools.count())
        batches = itertools.chain.from_iterable(rounds)
        before = controller.baseline
        for _ in range(self.controller_steps):
            if self.baseline_moves == "every_update":
                before = controller.baseline
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
