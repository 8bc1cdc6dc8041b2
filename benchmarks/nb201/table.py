"""The schema of an imported NAS-Bench-201 table, and its reader.

Columns are float64 of shape (15625,), row = official index, NaN = not recorded, named
``DATASET/RECIPE/SEED/SPLIT/METRIC``: dataset in :data:`DATASETS`; recipe ``12`` or ``200`` epochs; seed a recorded seed, or
``mean`` if the source has only means over seeds; split in :data:`SPLITS`. Metrics: ``accuracy`` (percent) and ``loss`` after
the last epoch; ``total_seconds`` of ``train`` (the complete training); ``pass_seconds`` of the other splits (one evaluation
pass).
Per trial: ``DATASET/RECIPE/SEED/params`` (M), ``/flops`` (M multiply-adds), ``/latency`` (seconds).
If more than the last epoch is recorded: ``…/accuracy.curve``, ``…/loss.curve``, and ``…/seconds.curve`` (only if the seconds
vary over epochs), float32 of shape (15625, epochs).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.cache import Table

SIZE = 15625
DATASETS = ("cifar10-valid", "cifar10", "cifar100", "imagenet16-120")
RECIPES = ("12", "200")
SPLITS = ("train", "x-valid", "x-test", "ori-test")
COSTS = ("params", "flops", "latency")
MEAN = "mean"


REPORTED = {
    "cifar10-valid": {"valid": "x-valid", "test": "ori-test"},
    "cifar10": {"valid": "x-valid", "test": "ori-test"},
    "cifar100": {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"},
    "imagenet16-120": {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"},
    "digits": {"valid": "x-valid", "test": "x-test"},
}
"""The splits that the official API calls ``valid``, ``test`` and ``valtest``."""


class Images(NamedTuple):
    """Numbers of images that pass through a network of the table."""

    train: int
    """Images of a training epoch."""
    valid: int
    """Images of one evaluation pass over ``x-valid``; each noise draw of an image counts."""


IMAGES = {
    "cifar10-valid": Images(25_000, 25_000),
    "cifar100": Images(50_000, 5_000),
    "imagenet16-120": Images(151_700, 3_000),
}
"""Images of the official data sets that a search uses."""


def spelled(dataset: str) -> str:
    """Return a data set's name as columns have it, in lower case. The official packages write ``ImageNet16-120``."""
    return dataset.lower()


def name(dataset: str, recipe: str | int, seed: str | int, *rest: str) -> str:
    """Return the name of a column."""
    return "/".join((spelled(dataset), str(recipe), str(seed), *rest))


class Records:
    """The records of one imported table. Data sets may have the official spelling or that of the columns."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @cached_property
    def _seeds(self) -> dict[tuple[str, str], tuple[str, ...]]:
        recorded: dict[tuple[str, str], set[str]] = {}
        for column in self.table.columns:
            dataset, recipe, seed = column.split("/")[:3]
            recorded.setdefault((dataset, recipe), set()).add(seed)
        return {key: tuple(sorted(seeds)) for key, seeds in recorded.items()}

    def seeds(self, dataset: str, recipe: str | int) -> tuple[str, ...]:
        """Return the seeds with any record, sorted, ``mean`` last; empty without records."""
        return self._seeds.get((spelled(dataset), str(recipe)), ())

    @property
    def datasets(self) -> list[str]:
        """Return the data sets with any record, sorted."""
        return sorted({dataset for dataset, _ in self._seeds})

    def recipes(self, dataset: str) -> tuple[int, ...]:
        """Return the lengths of the recorded trainings of a data set, ascending."""
        return tuple(sorted(int(recipe) for name, recipe in self._seeds if name == spelled(dataset)))

    @cached_property
    def rows(self) -> int:
        """Return the number of rows of every column."""
        return len(self.table.column(self.table.columns[0]))

    def images(self, dataset: str) -> Images:
        """Return the images of the table's trainings: the entry ``images`` of ``meta.json``, or the official numbers."""
        dataset = spelled(dataset)
        own = self.table.meta.get("images", {})
        return Images(**own[dataset]) if dataset in own else IMAGES[dataset]

    def get(self, dataset: str, recipe: str | int, seed: str | int, split: str, metric: str) -> npt.NDArray[np.float64] | None:
        """Return one column, float64 of shape (15625,), or None if nothing is recorded."""
        return self._column(name(dataset, recipe, seed, split, metric))

    def curve(
        self, dataset: str, recipe: str | int, seed: str | int, split: str, metric: str
    ) -> npt.NDArray[np.float32] | None:
        """Return ``accuracy``, ``loss`` or ``seconds`` of each epoch, float32 of shape (15625, epochs), or None."""
        return self._column(name(dataset, recipe, seed, split, f"{metric}.curve"))

    def mean(self, dataset: str, recipe: str | int, split: str, metric: str) -> npt.NDArray[np.float64] | None:
        """Return the mean over the recorded seeds of each architecture, or the mean of the source if it has one."""
        return self._mean(dataset, recipe, split, metric)

    def cost(self, dataset: str, recipe: str | int, seed: str | int) -> dict[str, npt.NDArray[np.float64] | None]:
        """Return ``params`` (M), ``flops`` (M multiply-adds) and ``latency`` (seconds) of one trial."""
        return {kind: self._column(name(dataset, recipe, seed, kind)) for kind in COSTS}

    def costs(
        self, dataset: str, recipe: str | int, rule: Literal["nats", "mean"] = "nats"
    ) -> dict[str, npt.NDArray[np.float64] | None]:
        """Return ``params``, ``flops`` and ``latency`` over all trials, with the values of the official packages.

        A few trials record the size of another network. ``nats`` (nats_bench from 1.6 on) takes the record of
        seed 888 if the trials disagree, ``mean`` (nas_201_api) the mean over trials. Latency is always the mean of the measured
        values.
        """
        costs = {kind: self._mean(dataset, recipe, kind) for kind in COSTS}
        if rule == "nats" and MEAN not in self.seeds(dataset, recipe):
            for kind in ("params", "flops"):
                costs[kind] = self._settle(dataset, recipe, kind, costs[kind])
        return costs

    def _column(self, column: str) -> npt.NDArray[Any] | None:
        return self.table.column(column) if column in self.table else None

    def _trials(self, dataset: str, recipe: str | int, *rest: str) -> list[npt.NDArray[Any]]:
        columns = (self._column(name(dataset, recipe, seed, *rest)) for seed in self.seeds(dataset, recipe))
        return [column for column in columns if column is not None]

    def _mean(self, dataset: str, recipe: str | int, *rest: str) -> npt.NDArray[np.float64] | None:
        exact = self._column(name(dataset, recipe, MEAN, *rest))
        if exact is not None:
            return exact
        trials = self._trials(dataset, recipe, *rest)
        if not trials:
            return None
        stack = np.stack(trials)
        count = (~np.isnan(stack)).sum(axis=0)
        mean = np.full(len(count), np.nan)
        np.divide(np.nansum(stack, axis=0), count, out=mean, where=count > 0)
        return mean

    def _settle(
        self, dataset: str, recipe: str | int, kind: str, mean: npt.NDArray[np.float64] | None
    ) -> npt.NDArray[np.float64] | None:
        """Return ``mean``, with the value of seed 888 (or NaN) where the trials differ in the fifth decimal."""
        trials = self._trials(dataset, recipe, kind)
        if mean is None or len(trials) < 2:
            return mean
        stack = np.stack(trials)
        spread = np.fmax.reduce(stack) - np.fmin.reduce(stack)
        trusted = self._column(name(dataset, recipe, "888", kind))
        for row in np.flatnonzero(spread > 0):
            if len({f"{value:.5f}" for value in stack[:, row] if not np.isnan(value)}) > 1:
                mean[row] = np.nan if trusted is None else trusted[row]
        return mean
