"""Pruning as a benchmark of the harness: a search trains and prunes, the judge trains what remains from scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.pruning import data
from benchmarks.pruning.recipe import Recipe
from benchmarks.pruning.space import MaskSpace
from benchmarks.pruning.training import PruningTrainingSide
from harness.errors import UserError
from harness.problem import Availability, Facts, Judge, Problem
from harness.space import Arch


class PruningBenchmark:
    """Pruning of a 64-40-20-10 network on scikit-learn's digits."""

    id = "pruning/digits"
    kinds = ("pruning",)
    embedded = True

    def availability(self) -> Availability:
        return Availability(True, "bundled, 1 797 digits of scikit-learn; every network is trained")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> PruningProblem:
        if search:
            raise UserError(f"{self.id} has no search settings, not {next(iter(search))!r}")
        return PruningProblem(judge)


def benchmarks() -> list[PruningBenchmark]:
    """Return the benchmark."""
    return [PruningBenchmark()]


class PruningProblem(Problem):
    """The digits opened under a protocol."""

    fidelities = ()
    record = "none: every network is trained"
    clock_currency = "macs"

    def __init__(self, judge: Mapping[str, Any]) -> None:
        self.space = MaskSpace(data.SIZES)
        self.checksum = data.checksum()
        self.training = PruningTrainingSide()
        self.judge = PruningJudge(judge)
        epochs = self.judge.recipe.epochs
        self.facts = Facts(
            source="digits of scikit-learn (8x8 pixels)",
            search="training digits; validation digits choose nothing",
            judge={PruningJudge.target: f"test digits, by a training from scratch of the pruned network for {epochs:,} epochs"},
        )

    def oracle(self, world: int) -> None:
        """Return None: no training is tabulated."""


class PruningJudge(Judge):
    """Judge that trains the proposed sub-network from scratch on the training digits, and tests it."""

    target = "digits"
    optimum = {target: math.nan}
    stated_set = "nothing: no sub-network is known to be the best"
    set_size = {target: 0}

    def __init__(self, settings: Mapping[str, Any]) -> None:
        try:
            self.recipe = Recipe(**settings)
        except (TypeError, ValueError) as error:
            names = ", ".join(Recipe.__dataclass_fields__)
            raise UserError(f"the judge of pruning/digits: {error}; its settings are {names}") from None
        self._known: dict[tuple[int, Arch], dict[str, float]] = {}

    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        from benchmarks.pruning.scratch import train

        if (world, arch) not in self._known:
            points, valid = data.search_parts()
            accuracies = train(arch, data.SIZES, self.recipe, world, points, valid, data.test_part())
            self._known[world, arch] = dict(zip(("valid", "test"), accuracies, strict=True))
        return {self.target: {**self._known[world, arch], "regret": math.nan, "rank": math.nan}}
