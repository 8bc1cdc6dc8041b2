from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import training


@dataclass(frozen=True)
class Enas(training.WeightTraining):
    """ENAS: an LSTM draws a cell per batch to train the weights, and learns by REINFORCE from the supernet's accuracies.

    On NAS-Bench-201 the baseline is constant within an epoch, so that an update learns from almost the accuracy itself. In the
    first epoch there is no baseline, and the accuracy of a sample is its own. On NAS-Bench-1Shot1 there is no clipping
    of the controller's gradient, rewards are in percent, and the baseline starts from zero: at first an update learns from the
    whole accuracy.
    """

    epochs: Annotated[int, "passes over the images that train the weights"] = 250
    batch: Annotated[int, "images per step"] = 128
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.05
    lr_end: Annotated[float, "lowest learning rate of the cosine"] = 0.0005
    lr_period: Annotated[float, "half a cosine, as a share of the schedule; then it rises again: 10 of 250 epochs"] = 0.04
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 2.5e-4
    controller: Annotated[
        Literal["nb201", "nb1shot1"],
        "nb201: two LSTM layers choose one option after the other; nb1shot1: one LSTM cell chooses node by node, and attends "
        "to earlier nodes to choose inputs (D-49)",
    ] = "nb201"
    controller_lr: Annotated[float, "Adam's learning rate of the controller"] = 1e-3
    controller_steps: Annotated[int, "controller updates per epoch"] = 50
    controller_samples: Annotated[int, "cells that an update averages over"] = 20
    controller_clip: Annotated[float, "largest norm of the controller's gradient; 0: not clipped"] = 5.0
    entropy_bonus: Annotated[float, "reward for the entropy of the controller's choices"] = 1e-4
    controller_size: Annotated[int, "units of the LSTM"] = 32
    controller_beta: Annotated[float, "Adam's first decay rate for the controller"] = 0.0
    controller_eps: Annotated[float, "Adam's epsilon for the controller (D-51)"] = 1e-3
    controller_decay: Annotated[float, "L2 penalty on the controller (D-51)"] = 0.0
    op_bound: Annotated[float, "largest logit of an operation"] = 2.5
    reward_unit: Annotated[
        Literal["share", "percent"], "unit of the accuracy in a reward: a share of 1, or percent (NAS-Bench-1Shot1, D-49)"
    ] = "share"
    rewarded_on: Annotated[
        Literal["augmented", "plain"], "validation images of rewards: augmented like training images, or plain (D-50)"
    ] = "augmented"
    reward_batch: Annotated[int, "validation images of a reward; 0: as many as a step has (D-50)"] = 0
    first_baseline: Annotated[
        Literal["own", "zero"], "in the first epoch a sample's baseline is its own accuracy, or it starts from zero (D-49)"
    ] = "own"
    baseline_rate: Annotated[float, "step of a sample's baseline from the present one towards its own reward"] = 0.01
    baseline_moves: Annotated[
        Literal["every_epoch", "epoch_mean", "every_update"],
        "when the present baseline changes: at the end of an epoch to the last sample's or to the mean of all samples' "
        "(NATS-Bench, D-50), or after each update to the last sample's",
    ] = "every_epoch"
    candidates: Annotated[int, "cells that the controller draws to be ranked"] = 100
    ranked_on: Annotated[
        Literal["augmented", "plain"], "validation images that rank cells: augmented like training images, or plain (D-50)"
    ] = "augmented"
    selection_batch: Annotated[int, "validation images that rank a cell"] = 128
    finalists: Annotated[int, "best cells that are ranked again on all plain validation images; 0: none"] = 0
    selects: Annotated[Literal["at_the_end", "every_epoch"], "when cells are ranked and the best proposed"] = "at_the_end"

    reference: ClassVar[str] = "arXiv:1802.03268"
    citations: ClassVar[tuple[str, ...]] = ("pham2018enas",)
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {
        # unlike the code, which trains weights on 45 000 images, ranks on the *test set*, and steps the cosine per batch
        "nb1shot1": {
            **training.NB1SHOT1,
            "batch": 64,
            "lr": 0.025,
            "lr_end": 0.001,
            "lr_period": 1.0,
            "weight_decay": 1e-4,
            "clip": 0.25,
            "controller": "nb1shot1",
            "controller_lr": 3.5e-4,
            "controller_steps": 300,
            "controller_samples": 1,
            "controller_clip": 0.0,
            "controller_size": 64,
            "controller_beta": 0.1,
            "op_bound": 0.5,
            "reward_unit": "percent",
            "first_baseline": "zero",
            "baseline_moves": "every_update",
            "candidates": 1000,
            "ranked_on": "plain",
            "selection_batch": 64,
            "finalists": 5,
            "selects": "every_epoch",
        },
        "toy_sharing": {"controller_steps": 2, "controller_samples": 3, "candidates": 10},
    }

    def skip(self, problem: Problem) -> str | None:
        side = problem.training
        if side is not None and self.controller == "nb1shot1" and side.operations_on != "nodes":
            return "controller = 'nb1shot1' chooses the inputs of nodes; in this space operations stand on edges"
        return training.skip(problem) or training.skip_chosen_edges(problem)

    def search(self, view: SearchView) -> Arch | None:
        from methods.one_shot.parts import enas

        return enas.search(view, self)
