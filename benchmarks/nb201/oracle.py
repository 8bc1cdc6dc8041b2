"""The search side of NAS-Bench-201: validation accuracies and costs, and the oracle that draws a recorded training."""

from __future__ import annotations

from array import array
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.space import official_number
from benchmarks.nb201.table import MEAN, SIZE, Records
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.seeds import mix
from harness.space import Arch

Column = npt.NDArray[np.float64]
Numbers: TypeAlias = "array[float]"
Lists: TypeAlias = "tuple[list[Numbers], list[Numbers]]"


class Signal:
    """The part of a table that a search may read: validation accuracies and costs of one dataset and recipe."""

    def __init__(self, records: Records, dataset: str, recipe: int, train_images: int) -> None:
        trainings = {seed: _Trainings(records, dataset, recipe, seed) for seed in records.seeds(dataset, recipe)}
        drawn = [training for seed, training in trainings.items() if training.epochs and seed != MEAN]
        self.record = "drawn" if drawn else "mean"
        self._trainings = drawn or [training for training in trainings.values() if training.epochs]
        if not self._trainings:
            raise UserError(f"the table has no x-valid accuracy of {dataset} for the {recipe}-epoch training")
        self.fidelities = tuple(sorted({epoch for training in self._trainings for epoch in training.epochs}))
        self.loaded: dict[int, Lists] = {}
        """Results of :meth:`load` by epoch. Most searches query the last epoch only."""
        self.mean_cost = self._mean_cost(recipe)
        self.recorded = self._recorded(recipe)
        """Number of cells that can be queried: they have a validation accuracy and a cost after the last epoch."""
        flops = records.costs(dataset, recipe)["flops"]
        known = np.zeros(SIZE) if flops is None else np.nan_to_num(flops)
        self.macs_per_epoch = _plain(known * 1e6 * train_images)

    def load(self, epoch: int) -> Lists:
        """Return validation accuracies and charged seconds after ``epoch``, by training and official index, as plain arrays.

        A missing value is NaN. A training without a recorded time cannot be charged, so its accuracy is NaN too.

        Raises:
            MissingRecord: the table has no record after ``epoch``.
        """
        if epoch not in self.fidelities:
            recorded = ", ".join(map(str, self.fidelities))
            raise MissingRecord(f"no validation accuracy after epoch {epoch} in this table; there is {recorded}")
        columns = [training.after(epoch) for training in self._trainings if epoch in training.epochs]
        accuracies = [_plain(np.where(np.isnan(seconds), np.nan, accuracy)) for accuracy, seconds in columns]
        return self.loaded.setdefault(epoch, (accuracies, [_plain(seconds) for _, seconds in columns]))

    def _mean_cost(self, recipe: int) -> float:
        """Return the seconds of a query to the last epoch: the mean over cells of the mean over a cell's trainings."""
        seconds = np.stack([training.after(recipe)[1] for training in self._trainings])
        count = (~np.isnan(seconds)).sum(axis=0)
        each = np.nansum(seconds, axis=0)[count > 0] / count[count > 0]
        return float(each.mean()) if each.size else float("nan")

    def _recorded(self, recipe: int) -> int:
        trainings = [training.after(recipe) for training in self._trainings]
        known = [~np.isnan(accuracy) & ~np.isnan(seconds) for accuracy, seconds in trainings]
        return int(np.any(known, axis=0).sum())


def _plain(column: Column) -> Numbers:
    """Return the column as an array whose items become Python numbers fast and without writing to shared memory."""
    return array("d", np.ascontiguousarray(column, dtype=np.float64).tobytes())


class _Trainings:
    """The trainings of all cells with one recorded seed."""

    def __init__(self, records: Records, dataset: str, recipe: int, seed: str) -> None:
        self._recipe = recipe
        self._train = records.get(dataset, recipe, seed, "train", "total_seconds")
        self._pass = records.get(dataset, recipe, seed, "x-valid", "pass_seconds")
        self._last = records.get(dataset, recipe, seed, "x-valid", "accuracy")
        self._curve = records.curve(dataset, recipe, seed, "x-valid", "accuracy")
        self._train_curve = records.curve(dataset, recipe, seed, "train", "seconds")
        self._pass_curve = records.curve(dataset, recipe, seed, "x-valid", "seconds")
        self.epochs: tuple[int, ...] = ()
        """Epochs after which a validation accuracy is recorded."""
        if self._train is not None and self._pass is not None and self._last is not None:
            known = () if self._curve is None else np.flatnonzero(~np.isnan(self._curve[:, : recipe - 1]).all(axis=0)) + 1
            self.epochs = (*(int(epoch) for epoch in known), recipe)

    def after(self, epoch: int) -> tuple[Column, Column]:
        """Return validation accuracies in percent, and the seconds of ``epoch`` training epochs and one validation pass."""
        assert self._train is not None and self._pass is not None and self._last is not None
        if epoch == self._recipe:
            return self._last, self._train + self._pass
        assert self._curve is not None
        spent, check = self._train * epoch / self._recipe, self._pass
        if self._train_curve is not None:  # NaN if the seconds do not vary over epochs
            varying = self._train_curve[:, :epoch].sum(axis=1, dtype=np.float64)
            spent = np.where(np.isnan(varying), spent, varying)
        if self._pass_curve is not None:
            varying = self._pass_curve[:, :epoch].mean(axis=1, dtype=np.float64)
            check = np.where(np.isnan(varying), check, varying)
        return self._curve[:, epoch - 1].astype(np.float64), spent + check


class NB201Oracle:
    """Oracle that draws one recorded training per query, by world, cell, epoch and number of earlier equal queries."""

    __slots__ = ("fidelities", "_signal", "_loaded", "_macs", "_world")

    def __init__(self, signal: Signal, world: int) -> None:
        self.fidelities = signal.fidelities
        self._signal = signal
        self._loaded = signal.loaded
        self._macs = signal.macs_per_epoch
        self._world = world

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        i = official_number(arch)
        epoch = self.fidelities[-1] if fidelity is None else fidelity
        try:
            trials, seconds = self._loaded[epoch]
        except KeyError:
            trials, seconds = self._signal.load(epoch)
        k = 0
        if len(trials) > 1:
            recorded = [k for k, trial in enumerate(trials) if trial[i] == trial[i]]
            if recorded:
                k = recorded[mix(self._world ^ (i << 24) ^ (epoch << 12) ^ asked) % len(recorded)]
        accuracy = trials[k][i]
        if accuracy != accuracy:
            raise MissingRecord(f"the table has no {epoch}-epoch training of cell {i}")
        return accuracy, seconds[k][i], epoch, self._macs[i] * epoch
