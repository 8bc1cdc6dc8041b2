from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.problem import Problem
from harness.view import SearchView
from methods.feature_maps.parts import singles

SIZES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


@dataclass(frozen=True)
class Sweep:
    """Exhaustive sweep: trains the first ``maps`` feature maps of the pool one by one, and proposes the best.

    ``bilevel`` trains on the training points and chooses by validation accuracy (eq. 2). It first trains shared weights for
    all these maps, and logs the accuracy of each map under them next to its own: the paper's Figure 1. ``joint_erm`` trains
    on all points together and chooses by training loss (section 3).
    """

    maps: Annotated[int, "number of maps, from the start of the pool"] = 32
    objective: Annotated[
        Literal["bilevel", "joint"],
        "training points and validation accuracy, or the loss on all points",
    ] = "bilevel"
    sizes: Annotated[tuple[float, ...], "shares of the features, ascending; the last share decides"] = SIZES
    loss: Annotated[Literal["hinge", "squared_hinge"], "loss of the support vector machine (D-36)"] = "hinge"

    reference: ClassVar[str] = "Khodak et al. 2020 (ICML AutoML workshop), github.com/mkhodak/weight-sharing"
    citations: ClassVar[tuple[str, ...]] = ("khodak2020weightsharing",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {"bilevel": {}, "joint_erm": {"objective": "joint"}}

    def __post_init__(self) -> None:
        if self.maps < 2:
            raise ValueError("maps must be at least 2")
        if not self.sizes or not all(0 < size <= 1 for size in self.sizes) or list(self.sizes) != sorted(self.sizes):
            raise ValueError("sizes must be ascending shares above 0 and at most 1")

    def skip(self, problem: Problem) -> str | None:
        return singles.skip(problem)

    def search(self, view: SearchView) -> None:
        full, joint = view.task.features, self.objective == "joint"
        sizes = [math.ceil(share * full) for share in (self.sizes[-1:] if joint else self.sizes)]
        count = min(self.maps, view.space.size)
        trainings = singles.Singles(view, (count + (not joint)) * len(sizes))
        for features in sizes:
            shared = [] if joint else trainings.result(partial(self._shared, view, features, count))
            best = -math.inf
            for config in range(count):
                result = trainings.train(config, features, loss=self.loss, joint=joint)
                merit = -result.objective if joint else result.accuracy
                if merit > best:
                    best = merit
                    if trainings.new and features == sizes[-1]:
                        view.propose((config,))
                if trainings.new:
                    signal = {"own_accuracy": result.accuracy, "shared_accuracy": shared[config]} if shared else {}
                    view.log(solver_calls=view.budget.queries, features=features, objective=result.objective, **signal)
                trainings.done()

    def _shared(self, view: SearchView, features: int, count: int) -> list[float]:
        """Train weights for all these maps at once. Return the accuracy of each map on all validation points, percent."""
        task = view.task
        rng = np.random.default_rng([view.seed("assignment"), features])
        model = task.fit(rng.integers(0, count, task.points["train"]), features, loss=self.loss)
        return [100 * float(model.validate(config).correct.mean()) for config in range(count)]
