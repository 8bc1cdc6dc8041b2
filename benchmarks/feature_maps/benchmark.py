"""Feature map selection as benchmarks of the harness: searches make solver calls, the judge trains separate classifiers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from benchmarks.feature_maps.data import OPENERS, DataSet, Settings
from benchmarks.feature_maps.library import LIBRARY
from benchmarks.feature_maps.pool import PoolSpace
from benchmarks.feature_maps.task import Task
from benchmarks.images.library import LIBRARY as IMAGES
from harness.errors import UserError
from harness.problem import Availability, Facts, Judge, Problem
from harness.seeds import derive
from harness.space import Arch
from harness.training import Meter, TrainingSide

SPACES: Final = {"cifar10": "random-fourier", "imdb": "bag-of-ngrams", "digits": "random-fourier"}
PAPER: Final = {
    "cifar10": Settings(features=100_000),
    "imdb": Settings(features=2**24),
    "digits": Settings(features=1000, pool=64),
}
"""Settings of the paper (D-37: 2^24 buckets as in the released code; the paper says 100K). Those of the digits are ours."""


class FeatureMapsBenchmark:
    """Selection of a feature map for a linear model on one data set."""

    kinds = ("feature-maps",)

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.id = f"feature_maps/{dataset}"
        self.embedded = dataset == "digits"

    def availability(self) -> Availability:
        if self.embedded:
            return Availability(True, "bundled, 1 797 digits of scikit-learn under random Fourier features")
        if self.dataset == "imdb":
            states = LIBRARY.state()
            text = states[0].text if states else ""
        else:
            present = IMAGES.find(self.dataset)
            text = f"{present.form.name}, {present.form.kind}" if present else ""
        return Availability(bool(text), f"found: {text}" if text else "missing: see `python -m harness.data status`")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> FeatureMapsProblem:
        if not self.availability().ready:
            raise UserError(f"{self.id} needs data that are not there; see `python -m harness.data status`")
        try:
            settings = replace(PAPER[self.dataset], **search.get(self.dataset, {}))
        except TypeError as error:
            raise UserError(f"{self.id}: {error}; there are {', '.join(Settings.__dataclass_fields__)}") from None
        return FeatureMapsProblem(self.dataset, OPENERS[self.dataset](settings), settings)


def benchmarks() -> list[FeatureMapsBenchmark]:
    """Return the benchmarks: the paper's two data sets, and the digits that ship with the project."""
    return [FeatureMapsBenchmark(dataset) for dataset in SPACES]


class FeatureMapsProblem(Problem):
    """A data set opened under a protocol."""

    fidelities = ()
    record = "none: every solver call is made"

    def __init__(self, dataset: str, source: DataSet, settings: Settings) -> None:
        self.space = PoolSpace(SPACES[dataset], settings.pool)
        self.checksum = source.checksum
        self.training = FeatureMapsTrainingSide(source, settings.features)
        self.judge = FeatureMapsJudge(dataset if source.name != "CIFAR-10 (JPEG-75)" else "cifar10-jpeg75", source, settings)
        self.facts = Facts(
            source=source.origin,
            search=f"validation points of {source.name}, by linear models on up to {settings.features:,} features that the "
            f"search pays for; {settings.pool} configurations drawn per world",
            judge={
                self.judge.target: f"test points of {source.name}, by a separate classifier that is trained on the "
                f"training points with all {settings.features:,} features of the proposed configuration"
            },
            clock="processor seconds of solver calls and validation on this machine",
        )

    def oracle(self, world: int) -> None:
        """Return None: no training is tabulated."""


class FeatureMapsTrainingSide(TrainingSide):
    """Training side that opens :class:`benchmarks.feature_maps.task.Task`."""

    currencies = frozenset({"queries", "seconds", "solver_calls", "features"})

    def __init__(self, source: DataSet, features: int) -> None:
        self._source, self._features = source, features

    def __call__(self, world: int, device: str, charge: Meter) -> Task:
        train, valid = self._source.search_parts()
        return Task(self._source.maps(world), train, valid, self._features, world, charge)


class FeatureMapsJudge(Judge):
    """Judge that trains the proposed configuration alone, with all features and separate random numbers, and tests it.

    The result is the paper's "oracle" test error. Its time is not charged. The optimum is unknown: the pool is not trained.
    """

    stated_set = "nothing: the whole pool is not trained"

    def __init__(self, target: str, source: DataSet, settings: Settings) -> None:
        self.target = target
        self.optimum = {target: math.nan}
        self.set_size = {target: settings.pool}
        self._source, self._settings = source, settings
        self._known: dict[tuple[int, int], dict[str, float]] = {}

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        return (*self._source.search_parts(), self._source.test_part())

    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        key = world, arch[0]
        if key not in self._known:
            train, valid, test = self._parts
            maps = self._source.maps(world)
            assigned = [np.full(len(part), arch[0]) for part in (train, valid, test)]
            model = maps.fit(train, assigned[0], self._settings.features, derive("features", world, "judge"), "hinge")
            right = [
                100 * float(model.predict(part, mine).correct.mean())
                for part, mine in zip((valid, test), assigned[1:], strict=True)
            ]
            self._known[key] = {"valid": right[0], "test": right[1], "regret": math.nan, "rank": math.nan}
        return {self.target: self._known[key]}
