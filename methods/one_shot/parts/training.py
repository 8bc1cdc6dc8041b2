"""The settings of training a supernet, which every weight-sharing method has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from harness.problem import Problem


@dataclass(frozen=True)
class WeightTraining:
    """Settings of training the weights. The defaults are those of NAS-Bench-201's scripts."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 50
    batch: Annotated[int, "images per step"] = 64
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.025
    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.001
    lr_period: Annotated[float, "half a cosine, as a share of the schedule"] = 1.0
    lr_restart: Annotated[float, "after a period the cosine restarts at this share of its peak; 0: it rises again (D-24)"] = 0.0
    lr_warmup: Annotated[int, "first epochs, in which the rate rises in equal steps to the full rate; 0: none (D-143)"] = 0
    lr_ahead: Annotated[int, "the schedule is this many epochs ahead (1: the scheduler steps before the first epoch)"] = 0
    momentum: Annotated[float, "momentum of the weights"] = 0.9
    nesterov: Annotated[bool, "use Nesterov momentum"] = True
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 5e-4
    clip: Annotated[float, "largest norm of the weights' gradient; 0: not clipped"] = 5.0
    track_stats: Annotated[bool, "batch norms keep running statistics for evaluation (D-40: the scripts disagree)"] = False
    track_outside: Annotated[
        bool, "norms outside the cells keep them even if those inside do not (D-53); no effect outside NAS-Bench-201"
    ] = True
    plain_last: Annotated[
        bool, "the last norm has scale, shift and statistics only if those inside the cells do (D-54); no effect elsewhere"
    ] = False
    conv_bias: Annotated[bool, "the cells' convolutions have a bias (D-01)"] = False
    channels: Annotated[int, "channels of the first stage; 0: as in the benchmark's networks (D-23)"] = 0
    inactive: Annotated[
        Literal["decay", "keep"],
        "weights that a step did not use decay and keep their momentum, or stay as they are (D-06, D-42)",
    ] = "decay"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"epochs = {self.epochs} and batch = {self.batch} must be at least 1")
        if not (self.lr > 0 and self.lr_period > 0 and self.clip >= 0 and self.weight_decay >= 0):
            raise ValueError(
                f"lr = {self.lr} and lr_period = {self.lr_period} must be above 0, "
                f"clip = {self.clip} and weight_decay = {self.weight_decay} at least 0"
            )


@dataclass(frozen=True)
class PartialChannels(WeightTraining):
    """Settings of searches with partial channels. The defaults are PC-DARTS' for CIFAR-10 in the DARTS space."""

    batch: Annotated[int, "images per step"] = 256
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.1
    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.0
    nesterov: Annotated[bool, "use Nesterov momentum"] = False
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 3e-4
    track_stats: Annotated[bool, "batch norms keep running statistics for evaluation"] = True
    objective: Annotated[
        Literal["bilevel", "erm"], "bilevel: the architecture trains on validation images; erm: both train on all images"
    ] = "bilevel"
    partial: Annotated[int, "operations work on one of this many channels; 2 on ImageNet"] = 4
    order: Annotated[
        Literal["weights_first", "architecture_first"],
        "order of the two steps on a pair of batches; GAEA's script for ImageNet has the weights first (D-140)",
    ] = "architecture_first"
    arch_clip: Annotated[float, "largest norm of the architecture's gradient; 0: not clipped (D-140)"] = 0.0


def check_warmup(warmup: float) -> None:
    """Raise an error if ``warmup`` is no share of a schedule."""
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup = {warmup} must be a share of the schedule, from 0 to 1")


NB1SHOT1: dict[str, object] = {
    "epochs": 100,
    "batch": 96,
    "nesterov": False,
    "weight_decay": 3e-4,
    "track_stats": True,
}
"""Settings that the methods of NAS-Bench-1Shot1's scripts share; all others are as on NAS-Bench-201."""

DARTS: dict[str, object] = {"nesterov": False, "weight_decay": 3e-4, "track_stats": True}
"""Settings that the methods of the code released for the DARTS space share; all others are as on NAS-Bench-201."""

NEEDS_TRAINING = "needs images to train a supernet on, which this benchmark does not offer"


def skip(problem: Problem, *choices: str, on_edges: bool = False, deployable: bool = False) -> str | None:
    """Return why a weight-sharing method cannot run on a problem, or None if it can.

    Args:
        choices: choices of the supernet that the method needs.
        on_edges: the method is defined for operations on edges only.
        deployable: the method needs a :class:`harness.weight_sharing.DeployableSupernet`.
    """
    side = problem.training
    if side is None:
        return NEEDS_TRAINING
    if on_edges and side.operations_on != "edges":
        return "is defined for operations on edges; in this space they stand on nodes, whose inputs are chosen apart"
    if deployable and not side.deployable:
        return "needs a supernet that can be deployed, which this space does not offer"
    lacking = [name for name in choices if name not in side.choices]
    return f"needs a choice of {' and '.join(lacking)} that the supernet of this space does not offer" if lacking else None


def skip_chosen_edges(problem: Problem) -> str | None:
    """Return why a method that draws one operation for every edge cannot run on a problem, or None if it can."""
    return (
        "draws an operation for every edge, and a cell of this space holds some of its edges"
        if problem.space.chooses_edges
        else None
    )
