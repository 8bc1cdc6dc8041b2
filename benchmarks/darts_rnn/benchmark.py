"""Recurrent cells as benchmarks of the harness. No accuracy is tabulated: the perplexity of a cell requires a training."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import cache
from statistics import fmean
from typing import Any, Final

from benchmarks.darts_rnn.corpus import CUTS, corpus
from benchmarks.darts_rnn.library import LIBRARY
from benchmarks.darts_rnn.recipe import recipe
from benchmarks.darts_rnn.retrainer import Retrainer
from benchmarks.darts_rnn.size import model_size
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.darts_rnn.training import RnnTrainingSide
from harness.problem import Availability, Facts, Judge, Problem
from harness.space import Arch

RECIPES: Final = {"ptb": "rnn_darts", "ptb-small": "rnn_small", "pride": "rnn_pride"}
"""By data set, the recipe whose model defines the size of a proposed cell, and whose length the price of a training."""
PRICED_CELLS: Final = 100
"""Number of random cells whose mean size is the price of a training."""


class RnnBenchmark:
    """The search for a recurrent cell on one text."""

    kinds = ("one-shot",)

    def __init__(self, dataset: str) -> None:
        self.dataset, self.embedded = dataset, CUTS[dataset].bundled
        self.id = f"darts_rnn/{dataset}"

    def availability(self) -> Availability:
        if self.embedded:
            return Availability(True, "bundled")
        states = LIBRARY.state()
        if not states:
            return Availability(False, "missing: see `python -m harness.data status`")
        return Availability(True, f"found: {states[0].text}{'; needs a GPU' if self.dataset == 'ptb' else ''}")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> RnnProblem:
        return RnnProblem(self.dataset)


def benchmarks() -> list[RnnBenchmark]:
    """Return the benchmarks: Penn Treebank, and two small texts for two cores."""
    return [RnnBenchmark(dataset) for dataset in CUTS]


class RnnProblem(Problem):
    """The space on one text. Samples are single-path cells; proposals may be mixed."""

    fidelities = ()
    record = "none: every cell is trained"
    clock_currency = "macs"

    def __init__(self, dataset: str) -> None:
        data, how = corpus(dataset), recipe(RECIPES[dataset])
        tokens = {part: len(data.part(part)) for part in ("train", "valid", "test")}
        self.space = RnnSpace("mixed")
        self.checksum = data.checksum
        self.training = RnnTrainingSide(dataset)
        self.retraining = Retrainer(dataset)
        self.judge = RnnJudge(dataset, how.width, data.types)
        self.mean_cost = how.epochs * tokens["train"] * mean_macs(how.width, data.types)
        counts = " + ".join(f"{count:,}" for count in tokens.values())
        self.facts = Facts(
            source=f"{data.name}, {counts} training, validation and test tokens of {data.types:,} types",
            search=f"weight sharing on the first {len(data.searched()):,} training tokens of {data.name}; its validation text "
            "trains the architecture",
            judge={dataset: "parameters and multiply-adds of the proposed cell; its perplexity takes a training"},
            clock="none; a search is charged the multiply-adds of its forward passes, in training as in evaluation. A training "
            f"is {how.epochs} epochs over {tokens['train']:,} tokens of a cell with the mean of {PRICED_CELLS} random cells",
        )

    def oracle(self, world: int) -> None:
        """Return None: no accuracy is tabulated."""


@cache
def mean_macs(width: int, types: int) -> float:
    """Return the mean multiply-adds of a token in the models of some random cells, always the same ones."""
    rng, space = random.Random(0), RnnSpace()
    return fmean(model_size(space.sample(rng), width, types).macs for _ in range(PRICED_CELLS))


class RnnJudge(Judge):
    """A judge that knows the size of a cell's model, but no accuracy. Another run trains the cell."""

    stated_set = "nothing: cells are trained one by one"

    def __init__(self, dataset: str, width: int, types: int) -> None:
        self._target, self._width, self._types = dataset, width, types
        self.optimum = {dataset: math.nan}
        self.set_size = {dataset: RnnSpace().size}

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        size = model_size(arch, self._width, self._types)
        missing = dict.fromkeys(("valid", "test", "regret", "rank"), math.nan)
        return {self._target: {**missing, "parameters": size.parameters, "macs": size.macs}}
