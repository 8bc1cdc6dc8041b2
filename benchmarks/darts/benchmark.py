"""The DARTS space as benchmarks of the harness. No accuracy is tabulated: the test accuracy of a cell requires a training."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from functools import cache
from statistics import fmean
from typing import Any, Final, NamedTuple

from benchmarks.darts.macro import Macro
from benchmarks.darts.recipe import recipe
from benchmarks.darts.retrainer import Retrainer
from benchmarks.darts.size import network_size
from benchmarks.darts.space import DartsSpace
from benchmarks.darts.training import DartsTrainingSide
from benchmarks.images.library import LIBRARY, imagenet
from harness.delivery import Delivery
from harness.problem import Availability, Facts, Judge, Problem
from harness.space import Arch

IMAGES: Final = {"cifar10": (10, 3, 32), "digits": (10, 1, 8), "imagenet": (1000, 3, 224)}
"""By data set of the search, the number of classes, the channels and the size (pixels) of its images."""

RECIPES: Final = {"cifar10": "darts", "digits": "digits", "imagenet": "imagenet_pc_darts"}
"""By data set, the recipe whose network defines the size of a proposed cell, and whose length the price of a training."""
PRICED_CELLS: Final = 100
"""Number of random cells whose mean size is the price of a training."""


class DartsBenchmark:
    """The search for a cell on one data set."""

    kinds = ("one-shot",)

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.id = f"darts/{dataset}"
        self.embedded = dataset == "digits"

    def availability(self) -> Availability:
        if self.embedded:
            return Availability(True, "bundled, cells searched and trained on the 1 797 digits of scikit-learn")
        if self.dataset == "imagenet":
            name = "its class folders" if imagenet() else ""
        else:
            source = LIBRARY.find(self.dataset)
            name = source.form.name if source else ""
        if not name:
            return Availability(False, "missing: see `python -m harness.data status`")
        return Availability(True, f"found: {name}; needs a GPU")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> DartsProblem:
        return DartsProblem(self.dataset)


def benchmarks() -> list[DartsBenchmark]:
    """Return the benchmarks: the papers' data sets, and the digits that ship with the project."""
    return [DartsBenchmark("digits"), DartsBenchmark("cifar10"), DartsBenchmark("imagenet")]


class DartsProblem(Problem):
    """The space on one data set. Samples are single-path cells; proposals may be of any family."""

    fidelities = ()
    record = "none: every cell is trained"
    clock_currency = "macs"

    def __init__(self, dataset: str) -> None:
        images = _opened(dataset)
        self.space = DartsSpace("single", accepts="mixed")
        self.checksum = images.checksum
        self.training = DartsTrainingSide(dataset)
        self.retraining = Retrainer(dataset)
        how = recipe(RECIPES[dataset])
        macro = how.macro(images.classes, *IMAGES[dataset][1:])
        self.judge = DartsJudge(dataset, macro)
        self.mean_cost = how.epochs * images.train * mean_macs(macro)
        self.facts = Facts(
            source=images.source,
            search=f"weight sharing on training images of {images.name} alone",
            judge={dataset: "parameters and multiply-adds of the proposed cell; its accuracy takes a training"},
            clock="none; a search is charged the multiply-adds of its forward passes, in training as in evaluation. A training "
            f"is {how.epochs} epochs over {images.train:,} images of a cell with the mean of {PRICED_CELLS} random cells",
        )

    def oracle(self, world: int) -> None:
        """Return None: no accuracy is tabulated."""


class _Images(NamedTuple):
    """Facts about the images of a data set."""

    name: str
    source: str
    train: int
    """Number of training images."""
    classes: int
    checksum: str


def _opened(dataset: str) -> _Images:
    """Open the images of searches, and return the facts about them. Those that are not imported yet are imported.

    Raises:
        UserError: the images are missing or damaged.
    """
    if dataset == "imagenet":
        from benchmarks.darts.subsample import subsample

        part = subsample()
        count = len(part.everything.paths)
        source = f"ImageNet, {count:,} training images of {part.classes:,} classes"
        return _Images("ImageNet", source, count, part.classes, part.checksum)
    from benchmarks.images.dataset import load

    train, test = load(dataset, lambda line: print(line, file=sys.stderr, flush=True))
    source = f"{train.name}, {len(train):,} training and {len(test):,} test images"
    return _Images(train.name, source, len(train), train.classes, train.checksum)


@cache
def mean_macs(macro: Macro) -> float:
    """Return the mean multiply-adds of an image in the networks of some random cells, always the same ones."""
    rng, space = random.Random(0), DartsSpace("single")
    return fmean(network_size(space.sample(rng), macro).macs for _ in range(PRICED_CELLS))


class DartsJudge(Judge):
    """A judge that knows the size of a cell's network, but no accuracy. Another run trains the cell.

    It tests a trained network that a search delivers. It opens the test images then, in the process of the judge.
    """

    stated_set = "nothing: cells are trained one by one"

    def __init__(self, dataset: str, macro: Macro) -> None:
        self._target, self._macro = dataset, macro
        self.optimum = {dataset: math.nan}
        self.set_size = {dataset: DartsSpace("single").size}

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        size = network_size(arch, self._macro)
        missing = dict.fromkeys(("valid", "test", "regret", "rank"), math.nan)
        return {self._target: {**missing, "parameters": size.parameters, "macs": size.macs}}

    def score_network(self, delivery: Delivery, device: str) -> dict[str, dict[str, float]]:
        from benchmarks.darts.delivered import accuracy

        return {self._target: {"single_run": accuracy(delivery, self._target, device)}}
