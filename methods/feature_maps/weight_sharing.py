from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from harness.problem import Problem
from harness.view import SearchView
from methods.feature_maps.parts import singles

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WeightSharing:
    """Weight sharing: each round trains one linear model for all feature maps that are alive, and drops the worse half.

    Every training point and every validation point gets a feature map that is drawn uniformly from those alive. The score of a
    map is that of the shared model on the map's validation points. In ``fast``, the number of features grows from round to
    round. At the end the survivor is trained alone, with all features.
    """

    keep: Annotated[float, "share of the maps that survives a round"] = 0.5
    growth: Annotated[float, "growth of the number of features per round, a factor"] = 1.0
    full_in: Annotated[Literal["refit", "last_round"], "step in which the number of features reaches all of them (D-35)"] = (
        "refit"
    )
    score: Annotated[Literal["accuracy", "loss"], "maps are ranked by validation accuracy, or by Algorithm 1's loss (D-33)"] = (
        "accuracy"
    )
    ties: Annotated[
        Literal["alive", "pool"],
        "ties at the threshold are broken until `keep` of the maps alive, or of the pool, survive (D-34)",
    ] = "alive"
    loss: Annotated[Literal["hinge", "squared_hinge"], "loss of the support vector machine (D-36)"] = "hinge"

    reference: ClassVar[str] = "Khodak et al. 2020 (ICML AutoML workshop), github.com/mkhodak/weight-sharing"
    citations: ClassVar[tuple[str, ...]] = ("khodak2020weightsharing",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {"plain": {}, "fast": {"growth": 1.41421356}}

    def __post_init__(self) -> None:
        if not 0 < self.keep < 1:
            raise ValueError("keep must be between 0 and 1")
        if not self.growth >= 1:
            raise ValueError("growth must be at least 1")

    def skip(self, problem: Problem) -> str | None:
        return singles.skip(problem)

    def rounds(self, pool: int) -> int:
        """Return the number of solver calls before the last: ``ceil(ln |C| / ln (1 / keep))``."""
        return math.ceil(math.log(pool) / math.log(1 / self.keep) - 1e-9)

    def schedule(self, pool: int, features: int) -> list[int]:
        """Return the number of features of each round."""
        rounds = self.rounds(pool)
        behind = rounds if self.full_in == "refit" else rounds - 1
        return [min(features, math.ceil(features * self.growth ** (i - behind))) for i in range(rounds)]

    def search(self, view: SearchView) -> None:
        task, pool = view.task, view.space.size
        schedule = self.schedule(pool, task.features)
        saved = view.resume()
        begun, alive, incumbent = json.loads(saved) if saved else (0, list(range(pool)), 0)
        for number in range(begun, len(schedule)):
            rng = np.random.default_rng([view.seed("assignment"), number])
            shared = task.fit(
                rng.choice(alive, task.points["train"]), schedule[number], draw=self._draw(number), loss=self.loss
            )
            assigned = rng.choice(alive, task.points["valid"])
            results = shared.validate(assigned)
            scores = self.scores(np.array(alive), assigned, results.correct, results.loss)
            incumbent = alive[int(scores.argmax())]
            view.propose((incumbent,))
            view.log(
                solver_calls=view.budget.queries,
                features=schedule[number],
                alive=len(alive),
                shared_accuracy=100 * results.correct.mean(),
            )
            alive = self.survivors(alive, scores, pool, rng)
            view.checkpoint(json.dumps([number + 1, alive, incumbent]).encode())
            view.progress((number + 1) / (len(schedule) + 1))
        refit = task.fit(incumbent, task.features, draw=self._draw(len(schedule)), loss=self.loss)
        accuracy = 100 * refit.validate(incumbent).correct.mean()
        view.propose((incumbent,))
        view.log(solver_calls=view.budget.queries, features=task.features, alive=1, valid_accuracy=accuracy)

    def scores(self, alive: Indices, assigned: Indices, correct: npt.NDArray[np.bool_], loss: Floats) -> Floats:
        """Return the mean over the validation points of each map; higher is better. A map without points is the worst."""
        points = np.bincount(assigned, minlength=alive.max() + 1)[alive]
        values = correct.astype(float) if self.score == "accuracy" else -loss
        sums = np.bincount(assigned, values, alive.max() + 1)[alive]
        worst = 0.0 if self.score == "accuracy" else values.min()
        return np.where(points > 0, sums / np.maximum(points, 1), worst)

    def survivors(self, alive: list[int], scores: Floats, pool: int, rng: np.random.Generator) -> list[int]:
        """Return the maps at or above the ``1 - keep`` quantile. Excess ties at the threshold are dropped at random."""
        passed = np.flatnonzero(scores >= np.quantile(scores, 1 - self.keep))
        tied = passed[scores[passed] == scores[passed].min()]
        limit = math.ceil(self.keep * (len(alive) if self.ties == "alive" else pool))
        excess = min(max(len(passed) - limit, 0), len(tied), len(passed) - 1)
        dropped = set(rng.choice(tied, excess, replace=False).tolist())
        return [alive[i] for i in passed.tolist() if i not in dropped]

    def _draw(self, number: int) -> int:
        """Return which draw of random features a round uses: the same if all rounds have equally many, else another."""
        return 0 if self.growth == 1 else number + 1
