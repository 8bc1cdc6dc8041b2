"""The values of trainings as NAS-Bench-201's official packages combine them: of all cells, or of all epochs, at once.

Arrays have the shape (rows, epochs): rows of the table, and numbers of epochs, counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import compress

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.table import MEAN, REPORTED, SPLITS, Records
from harness.problem import MissingRecord

Values = npt.NDArray[np.float64]
KEYS = ("loss", "accuracy", "per-time", "all-time")


class Trainings:
    """The trainings of one data set and recipe."""

    def __init__(self, records: Records, dataset: str, recipe: int) -> None:
        self.records, self.dataset, self.recipe = records, dataset, recipe
        self.seeds: Sequence[str] = records.seeds(dataset, recipe)

    @cached_property
    def trained(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Return for each seed a mask of the cells with any final accuracy: (rows,)."""
        masks = {}
        for seed in self.seeds:
            finals = (self.records.get(self.dataset, self.recipe, seed, split, "accuracy") for split in SPLITS)
            recorded = [~np.isnan(final) for final in finals if final is not None]
            masks[seed] = np.logical_or.reduce(recorded) if recorded else np.zeros(self.records.rows, dtype=bool)
        return masks

    def mean(self, split: str, metric: str, rows: slice, epochs: npt.NDArray[np.intp]) -> Values:
        """Return the mean over the trainings of each cell, or the mean of the source. A missing value makes it NaN."""
        if MEAN in self.seeds:
            return self.one(MEAN, split, metric, rows, epochs)
        return self.combined([self.one(seed, split, metric, rows, epochs) for seed in self.seeds], rows)

    def combined(self, values: Sequence[Values], rows: slice) -> Values:
        """Return the mean over the trainings of each cell; ``values`` has the values of all seeds."""
        masks = np.stack([self.trained[seed][rows, None] for seed in self.seeds])
        total = np.where(masks, np.stack(values), 0.0).sum(axis=0)
        count = np.broadcast_to(masks.sum(axis=0), total.shape)
        mean = np.full(total.shape, np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        return mean

    def one(self, seed: str, split: str, metric: str, rows: slice, epochs: npt.NDArray[np.intp]) -> Values:
        """Return ``accuracy`` (percent), ``loss``, or ``seconds`` from the first epoch on, of a seed; NaN: not recorded."""
        last, timed = self.recipe - 1, metric == "seconds"
        kind = ("total_seconds" if split == "train" else "pass_seconds") if timed else metric
        final = self.records.get(self.dataset, self.recipe, seed, split, kind)
        final = np.full(self.records.rows, np.nan)[rows] if final is None else final[rows]
        if timed and split != "train":
            final = final * self.recipe
        if (epochs == last).all():
            return np.repeat(final[:, None], len(epochs), axis=1)
        curve = self.records.curve(self.dataset, self.recipe, seed, split, metric)
        if timed:
            values = final[:, None] * (epochs + 1) / self.recipe
            if curve is not None:
                spent = curve[rows, : epochs.max() + 1].cumsum(axis=1, dtype=np.float64)[:, epochs]
                values = np.where(np.isnan(curve[rows, :1]), values, spent)
        else:
            shape = (len(final), len(epochs))
            values = np.full(shape, np.nan) if curve is None else curve[rows][:, epochs].astype(np.float64)
        values[:, epochs == last] = final[:, None]
        return values


class Infos:
    """The official ``get_more_info`` of all cells after an epoch, or of one cell after every epoch."""

    def __init__(self, trainings: Trainings, seed: str | None, rows: slice, epochs: npt.NDArray[np.intp]) -> None:
        self._what = f"{trainings.recipe}-epoch record of {trainings.dataset}, seed {seed or 'any'}"
        of_means = MEAN in trainings.seeds
        # the official API queries all trials even for one seed: a split that any trial lacks is absent
        seeds = [seed or MEAN] if of_means else trainings.seeds
        trained = np.stack([trainings.trained[each][rows, None] | of_means for each in seeds])
        names, columns, present = [], [], []
        at = 0 if of_means or seed is None else trainings.seeds.index(seed)
        for label, split in {"train": "train", **REPORTED[trainings.dataset]}.items():
            metrics = {
                metric: [trainings.one(each, split, metric, rows, epochs) for each in seeds]
                for metric in ("loss", "accuracy", "seconds")
            }
            lacking = np.isnan(metrics["loss"]) & np.isnan(metrics["accuracy"]) & trained
            loss, accuracy, seconds = (
                trainings.combined(values, rows) if seed is None and not of_means else values[at] for values in metrics.values()
            )
            columns += [loss, accuracy, seconds / (epochs + 1), seconds]
            present += [~lacking.any(axis=0) | (label == "train")] * len(KEYS)
            names += [f"{label}-{key}" for key in KEYS]
        present_parts = np.stack(present, axis=-1).reshape(-1, len(names))
        self._values = np.stack(columns, axis=-1).reshape(-1, len(names))
        there = ~np.isnan(self._values) & present_parts
        recorded = np.broadcast_to(trained.any(axis=0) if seed is None or of_means else trained[at], columns[0].shape).reshape(
            -1
        )
        bits = 1 << np.arange(len(names))
        codes = np.where(recorded & there.any(axis=1), there @ bits | (present_parts @ bits) << len(names), 0)
        patterns, first, self._pattern = np.unique(codes, return_index=True, return_inverse=True)
        self._patterns = [
            (dict.fromkeys(compress(names, present_parts[at])), list(compress(names, there[at])), there[at].tolist())
            if code
            else None
            for code, at in zip(patterns.tolist(), first.tolist(), strict=True)
        ]
        """For each set of recorded values its keys without values, the names of its values, and their mask; None: no record."""

    def at(self, index: int, position: int) -> dict[str, float | None]:
        """Return the values at a position, which is a cell or an epoch of the cell ``index``. Raises :class:`MissingRecord`."""
        pattern = self._patterns[self._pattern.item(position)]
        if pattern is None:
            raise MissingRecord(f"architecture {index} has no {self._what}")
        info, names, mask = pattern[0].copy(), pattern[1], pattern[2]
        info.update(zip(names, compress(self._values[position].tolist(), mask), strict=True))
        return info
