"""How a supernet's weights are trained: the settings that every weight-sharing method has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from harness.problem import Problem


@dataclass(frozen=True)
class WeightTraining:
    """Settings of the weights' side; the defaults are those of NAS-Bench-201's scripts."""

    epochs: Annotated[int, "passes over the images that train the weights"] = 50
    batch: Annotated[int, "images per step"] = 64
    lr: Annotated[float, "learning rate of the weights in the first epoch"] = 0.025
    lr_end: Annotated[float, "learning rate after the last epoch of the cosine"] = 0.001
    lr_horizon: Annotated[int, "epochs of half a cosine; 0: all of them"] = 0
    lr_restart: Annotated[float, "beyond it the cosine starts anew at so much of its peak; 0: it goes on and rises (D-24)"] = (
        0.0
    )
    lr_ahead: Annotated[int, "epochs that the schedule runs ahead (1: the scheduler is advanced before the first epoch)"] = 0
    momentum: Annotated[float, "momentum of the weights"] = 0.9
    nesterov: Annotated[bool, "Nesterov's form of it"] = True
    weight_decay: Annotated[float, "L2 penalty on the weights"] = 5e-4
    clip: Annotated[float, "largest norm of the weights' gradient; 0: not clipped"] = 5.0
    track_stats: Annotated[bool, "batch norms keep running statistics for evaluation (D-40: the scripts disagree)"] = False
    conv_bias: Annotated[bool, "the cells' convolutions have a bias (D-01)"] = False
    channels: Annotated[int, "of the first stage; 0: as many as the benchmark's networks have (D-23)"] = 0
    inactive: Annotated[
        Literal["decay", "keep"], "weights that a step did not use: they decay and move on, or stay as they are (D-06, D-42)"
    ] = "decay"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"epochs = {self.epochs} and batch = {self.batch} must be at least 1")
        if not (self.lr > 0 and self.clip >= 0 and self.weight_decay >= 0):
            raise ValueError(
                f"lr = {self.lr} must be above 0, clip = {self.clip} and weight_decay = {self.weight_decay} not below"
            )


NB1SHOT1: dict[str, object] = {
    **{"epochs": 100, "batch": 96, "nesterov": False, "weight_decay": 3e-4, "track_stats": True},
}
"""Settings of NAS-Bench-1Shot1's scripts that its methods share; the rest is as on NAS-Bench-201."""

DARTS: dict[str, object] = {"nesterov": False, "weight_decay": 3e-4, "track_stats": True}
"""Settings of the code released for the DARTS space that its methods share; the rest is as on NAS-Bench-201."""

NEEDS_TRAINING = "needs images to train a supernet on, which this benchmark does not offer"


def skip(problem: Problem, *choices: str, on_edges: bool = False) -> str | None:
    """Why a weight-sharing method cannot run on a problem: no training, or a supernet that is not what it needs.

    Args:
        choices: those of the supernet that it makes.
        on_edges: whether it is defined for operations on edges only.
    """
    side = problem.training
    if side is None:
        return NEEDS_TRAINING
    if on_edges and side.operations_on != "edges":
        return "is defined for operations on edges; in this space they stand on nodes, whose inputs are chosen apart"
    lacking = [name for name in choices if name not in side.choices]
    return f"needs a choice of {' and '.join(lacking)} that the supernet of this space does not offer" if lacking else None


def skip_chosen_edges(problem: Problem) -> str | None:
    """Why a method that draws one operation for every edge cannot run where cells choose among their edges."""
    return (
        "draws an operation for every edge, and a cell of this space holds some of its edges"
        if problem.space.chooses_edges
        else None
    )
