from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from harness.problem import Problem
from harness.view import SearchView

PENALTIES = {"lasso": 1.0, "group_lasso": 0.0, "sparse_group": 0.5}
"""By penalty its share of the l1 term, alpha (D-123)."""
OPTIMISERS: dict[str, dict[str, object]] = {
    "sgd": {"optimiser": "sgd", "lr": 0.025, "cosine": True, "tolerance": 1e-3},
    "adam": {"optimiser": "adam", "lr": 3e-4, "cosine": False, "tolerance": 1e-3},
    "hapg": {"optimiser": "hapg", "lr": 0.05, "cosine": True},
    "adam_hapg": {"optimiser": "adam_hapg", "lr": 3e-4, "cosine": False},
}
"""The paper's settings of each optimiser."""


@dataclass(frozen=True)
class Prune:
    """Pruning: trains a fully connected network under a penalty on the weights that leave each unit, for several strengths.

    One run trains a network for each strength, all from the same weights on the same batches. It proposes what remains of
    each, from the weakest penalty to the strongest, and logs the inputs, neurons and weights that remain (SparseNAS, Figure 3).
    """

    optimiser: Annotated[
        Literal["sgd", "adam", "hapg", "adam_hapg"],
        "sgd and adam follow the penalty's gradient, the others take proximal steps",
    ] = "hapg"
    mixture: Annotated[float, "share of the l1 term in the penalty (alpha): 1 is Lasso, 0 is Group Lasso (D-123)"] = 0.5
    strengths: Annotated[tuple[float, ...], "strengths of the penalty (lambda), ascending (D-124)"] = (
        1e-5,
        2e-5,
        5e-5,
        1e-4,
        2e-4,
    )
    epochs: Annotated[int, "epochs of the training"] = 500
    batch: Annotated[int, "training points of a step"] = 256
    lr: Annotated[float, "first step size"] = 0.05
    cosine: Annotated[bool, "the step size falls to 0 as a cosine, epoch by epoch"] = True
    tolerance: Annotated[
        float, "absolute weights below this are pruned; 0: weights that are exactly zero, for the proximal optimisers"
    ] = 0.0

    reference: ClassVar[str] = "arXiv:2009.08966, Figure 3; after Scardapane et al. 2017 (Neurocomputing)"
    citations: ClassVar[tuple[str, ...]] = ("wu2021sparsenas", "scardapane2017group")
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        f"{optimiser}_{penalty}": {**settings, "mixture": mixture}
        for optimiser, settings in OPTIMISERS.items()
        for penalty, mixture in PENALTIES.items()
    }

    def __post_init__(self) -> None:
        if not 0 <= self.mixture <= 1:
            raise ValueError(f"mixture is between 0 and 1, not {self.mixture:g}")
        if not self.strengths or min(self.strengths) <= 0 or list(self.strengths) != sorted(self.strengths):
            raise ValueError("strengths must be ascending numbers above 0")
        if self.epochs < 1 or self.batch < 1 or not self.lr > 0 or self.tolerance < 0:
            raise ValueError("epochs and batch must be at least 1, lr above 0, and tolerance not below 0")

    def skip(self, problem: Problem) -> str | None:
        binary = problem.training is not None and set(problem.space.cardinalities) == {2}
        return None if binary else "needs a network whose weights can be pruned"

    def search(self, view: SearchView) -> None:
        from methods.pruning.parts import path

        path.search(view, self)
