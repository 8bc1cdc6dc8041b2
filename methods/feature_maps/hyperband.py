from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

from harness.problem import Problem
from harness.view import SearchView
from methods.feature_maps.parts import singles


class Rung(NamedTuple):
    """One rung: ``maps`` feature maps are trained with ``features`` features each."""

    maps: int
    features: int


@dataclass(frozen=True)
class Hyperband:
    """Hyperband: trains feature maps one by one, many with few features, and the best of them with more.

    ``random_search`` is the bracket without halving: it trains every map with all features. On reviews the released code
    has this bracket twice (D-81).
    """

    eta: Annotated[float, "one of eta maps is promoted, to eta times the features"] = 4
    least: Annotated[float, "smallest share of the features in a training"] = 0.01
    brackets: Annotated[Literal["all", "halving", "random"], "which brackets run"] = "all"
    halving: Annotated[int, "rungs below the top rung in the bracket of successive halving"] = 3
    rule: Annotated[
        Literal["released", "paper"],
        "maps of a bracket: rounded down, and halved as seldom as its budget admits, or Hyperband's Algorithm 1 (D-81)",
    ] = "released"
    loss: Annotated[Literal["hinge", "squared_hinge"], "loss of the support vector machine (D-36)"] = "hinge"

    reference: ClassVar[str] = "Li et al. 2018, arXiv:1603.06560; Khodak et al. 2020, github.com/mkhodak/weight-sharing"
    citations: ClassVar[tuple[str, ...]] = ("li2018hyperband", "khodak2020weightsharing")
    proposes: ClassVar[str] = "self"
    settings: ClassVar[dict[str, dict[str, object]]] = {"bag-of-ngrams": {"eta": 2, "least": 2**-8}}
    variants: ClassVar[dict[str, dict[str, object]]] = {
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
        if self.brackets == "halving" and not self.plan(1):
            raise ValueError(f"halving = {self.halving} selects no bracket with rule = {self.rule!r}; take another number")

    @property
    def most_rungs(self) -> int:
        """Hyperband's s_max, ``floor(log_eta(R / r))``: the largest number of rungs below the top rung."""
        return math.floor(-math.log(self.least) / math.log(self.eta) + 1e-9)

    def bracket(self, s: int, features: int) -> list[Rung]:
        """Return the bracket of number ``s``. It starts with ``(s_max + 1) / (s + 1) * eta^s`` maps, and promotes one in eta.

        Algorithm 1 rounds the number of maps up, and halves it s times. The released code rounds down. It then halves no more
        often than is needed for the bracket to cost at most ``s_max + 1`` complete trainings (D-81).
        """
        budget = self.most_rungs + 1
        maps, halvings = budget / (s + 1) * self.eta**s, s
        if self.rule == "paper":
            count = math.ceil(maps - 1e-9)
        else:
            count = math.floor(maps + 1e-9)
            halvings = next(k for k in range(s + 1) if count * (k + 1) * self.eta**-k <= budget + 1e-9)
        return [
            Rung(math.floor(count * self.eta**-i), math.ceil(features * self.eta ** (i - halvings) - 1e-9))
            for i in range(halvings + 1)
        ]

    def plan(self, features: int) -> list[list[Rung]]:
        """Return the brackets of this search in order. ``halving`` and ``random`` select by the number of halvings."""
        brackets = [self.bracket(s, features) for s in range(self.most_rungs, -1, -1)]
        wanted = {"halving": self.halving, "random": 0}.get(self.brackets)
        return brackets if wanted is None else [rungs for rungs in brackets if len(rungs) == wanted + 1]

    def skip(self, problem: Problem) -> str | None:
        return singles.skip(problem)

    def search(self, view: SearchView) -> None:
        """Propose the best map of a rung at its end, unless an earlier proposal was better or had more features.

        In a rung with all features, propose every better map at once.
        """
        full = view.task.features
        plan = self.plan(full)
        trainings = singles.Singles(view, sum(rung.maps for rungs in plan for rung in rungs))
        incumbent = (0, -math.inf)  # features and accuracy of the last proposal
        for rungs in plan:
            maps = [view.rng.randrange(view.space.size) for _ in range(rungs[0].maps)]  # with replacement
            for rung in rungs:
                maps = maps[: rung.maps]
                trained: list[tuple[float, int]] = []
                for config in maps:
                    accuracy = trainings.train(config, rung.features, loss=self.loss).accuracy
                    trained.append((accuracy, config))
                    best = max(trained, key=lambda entry: entry[0])
                    is_end = len(trained) == len(maps)
                    if (rung.features == full or is_end) and (rung.features, best[0]) > incumbent:
                        incumbent = (rung.features, best[0])
                        if trainings.new:
                            view.propose((best[1],))
                    if trainings.new:
                        view.log(solver_calls=view.budget.queries, features=rung.features, valid_accuracy=accuracy)
                    trainings.done()
                maps = [config for _, config in sorted(trained, key=lambda entry: -entry[0])]
