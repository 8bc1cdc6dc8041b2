"""Hyperband, and its single brackets: successive halving and random search; the resource is the number of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from harness.problem import Problem, SearchView
from methods.feature_maps.parts import singles


class Rung(NamedTuple):
    """So many maps are trained with so many features."""

    maps: int
    features: int


@dataclass(frozen=True)
class Hyperband:
    """Trains feature maps one by one: many with few features, the best of them with more.

    ``random_search`` is the bracket without halving: every map is trained with all features.
    """

    eta: Annotated[float, "one in eta is promoted, to eta times the features"] = 4
    least: Annotated[float, "smallest share of the features that a map is trained with"] = 0.01
    brackets: Annotated[Literal["all", "halving", "random"], "which brackets run"] = "all"
    halving: Annotated[int, "rungs below the top in the bracket of successive halving"] = 3
    repeats: Annotated[int, "brackets without halving in random search"] = 1
    loss: Annotated[Literal["hinge", "squared_hinge"], "of the support vector machine (D-36)"] = "hinge"

    reference: ClassVar[str] = "Li et al. 2018, arXiv:1603.06560; Khodak et al. 2020, github.com/mkhodak/weight-sharing"
    citations: ClassVar[tuple[str, ...]] = ("li2018hyperband", "khodak2020weightsharing")
    proposes = "self"
    settings = {"bag-of-ngrams": {"eta": 2, "least": 2**-8, "repeats": 2}}
    variants = {
        "all_brackets": {"brackets": "all"},
        "successive_halving": {"brackets": "halving"},
        "random_search": {"brackets": "random"},
    }

    def __post_init__(self) -> None:
        if not self.eta > 1:
            raise ValueError("eta must be above 1")
        if not 0 < self.least <= 1:
            raise ValueError("least must be above 0 and at most 1")
        if not 0 <= self.halving <= self.most_rungs:
            raise ValueError(f"halving must be 0 to {self.most_rungs}, the rungs that eta and least leave room for")
        if self.repeats < 1:
            raise ValueError("repeats must be at least 1")

    @property
    def most_rungs(self) -> int:
        """Hyperband's s_max: ``floor(log_eta(R / r))``."""
        return math.floor(-math.log(self.least) / math.log(self.eta) + 1e-9)

    def bracket(self, s: int, features: int) -> list[Rung]:
        """Hyperband's bracket ``s``: ``ceil((s_max + 1) / (s + 1) * eta^s)`` maps, of which one in eta goes on, s times."""
        maps = math.ceil((self.most_rungs + 1) / (s + 1) * self.eta**s - 1e-9)
        return [Rung(math.floor(maps * self.eta**-i), math.ceil(features * self.eta ** (i - s) - 1e-9)) for i in range(s + 1)]

    def plan(self, features: int) -> list[list[Rung]]:
        """The brackets of this search, in order."""
        if self.brackets == "all":
            return [self.bracket(s, features) for s in range(self.most_rungs, -1, -1)]
        if self.brackets == "halving":
            return [self.bracket(self.halving, features)]
        return [self.bracket(0, features)] * self.repeats

    def skip(self, problem: Problem) -> str | None:
        return singles.skip(problem)

    def search(self, view: SearchView) -> None:
        """Proposes, at the end of a rung, its best map, unless an earlier one was better or had more features.

        In a rung with all features every better map is proposed at once.
        """
        full = view.task.features
        plan = self.plan(full)
        made = singles.Singles(view, sum(rung.maps for rungs in plan for rung in rungs))
        standing = (0, -math.inf)
        for rungs in plan:
            maps = [view.rng.randrange(view.space.size) for _ in range(rungs[0].maps)]  # with replacement
            for rung in rungs:
                maps = maps[: rung.maps]
                trained: list[tuple[float, int]] = []
                for config in maps:
                    accuracy = made.train(config, rung.features, loss=self.loss).accuracy
                    trained.append((accuracy, config))
                    best = max(trained, key=lambda one: one[0])
                    is_end = len(trained) == len(maps)
                    if (rung.features == full or is_end) and (rung.features, best[0]) > standing:
                        standing = (rung.features, best[0])
                        if made.new:
                            view.propose((best[1],))
                    if made.new:
                        view.log(solver_calls=view.budget.queries, features=rung.features, valid_accuracy=accuracy)
                    made.done()
                maps = [config for _, config in sorted(trained, key=lambda one: -one[0])]
