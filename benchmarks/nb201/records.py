"""Convert official records into columns: the official packages interpret a trial, and its numbers become table rows."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb201.official import NATS
from benchmarks.nb201.shape import checked
from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.table import DATASETS, SIZE, SPLITS, name
from harness.cache import TableWriter
from harness.errors import UserError
from harness.look import reason

_BLOCK = 256
"""Architectures whose curves are collected in memory before they are written; about 20 MB."""


class RecordColumns:
    """Writer of the columns of one table. Curves go to disk block by block; the other columns stay in memory (a few MB)."""

    def __init__(self, writer: TableWriter, kind: str) -> None:
        self._writer = writer
        self._results = _archresults(kind)
        self._finals: dict[str, npt.NDArray[np.float64]] = {}
        self._curves: dict[str, tuple[str, int]] = {}
        """File and offset of each curve's column."""
        self._pending: dict[str, list[tuple[int, npt.NDArray[np.float32]]]] = {}
        self._waiting = 0

    def add(self, index: int, states: Mapping[str, Any]) -> None:
        """Add the records of one architecture, by recipe. Raises :class:`UserError` if their form is not the published form."""
        if not states:
            raise UserError(f"architecture {index} has no records")
        for recipe, state in states.items():
            try:
                self._add(index, recipe, self._results.create_from_state_dict(checked(state, recipe)))
            except UserError as error:
                raise UserError(f"architecture {index}: {error}") from None
            except Exception as error:  # the official classes check nothing
                raise UserError(
                    f"architecture {index}: its {recipe}-epoch record is not laid out as published "
                    f"({type(error).__name__}: {reason(error)})"
                ) from None
        self._waiting += 1
        if self._waiting == _BLOCK:
            self._flush()

    def finish(self) -> list[str]:
        """Write the remaining values, and return the names of all columns."""
        for column, values in self._finals.items():
            self._writer.add(column, values)
        self._flush()
        return [*self._finals, *self._curves]

    def _add(self, index: int, recipe: str, results: Any) -> None:
        cell = NB201Space().to_str(official_order()[index])
        if results.arch_str != cell:
            raise UserError(f"it is {cell}, but its {recipe}-epoch record is of {results.arch_str[:100]!r}")
        for official_name, seeds in results.dataset_seed.items():
            dataset = official_name.lower()
            if dataset not in DATASETS:
                raise UserError(f"it has records of an unknown data set {official_name[:60]!r}")
            for seed in seeds:
                trial = results.query(official_name, seed)
                if trial.get_total_epoch() != int(recipe):
                    raise UserError(f"{trial.get_total_epoch()} epochs in a {recipe}-epoch record")
                self._add_trial(index, name(dataset, recipe, int(seed)), int(recipe), trial)

    def _add_trial(self, index: int, prefix: str, epochs: int, trial: Any) -> None:
        latency = trial.get_latency()
        self._set(f"{prefix}/params", index, trial.params)
        self._set(f"{prefix}/flops", index, trial.flop)
        self._set(f"{prefix}/latency", index, latency if latency > 0 else None)
        for split in SPLITS:
            if split == "train":
                last = trial.get_train(None)
                keys: tuple[Any, ...] = tuple(range(epochs))
                accuracy, loss, seconds = trial.train_acc1es, trial.train_losses, trial.train_times
            else:
                keys = _keys(split, epochs)
                accuracy, loss, seconds = trial.eval_acc1es, trial.eval_losses, trial.eval_times
                try:
                    last = trial.get_eval(split, None)
                except (KeyError, ValueError):  # the official packages raise these for an evaluation that is not recorded
                    last = {"accuracy": None, "loss": None, "all_time": None}
            path = f"{prefix}/{split}"
            self._set(f"{path}/accuracy", index, last["accuracy"])
            self._set(f"{path}/loss", index, last["loss"])
            total = last["all_time"]
            if split == "train":
                self._set(f"{path}/total_seconds", index, total)
            else:
                self._set(f"{path}/pass_seconds", index, None if total is None else total / epochs)
            durations = _series(seconds or {}, keys)
            if not np.isnan(durations).all() and (durations != durations[0]).any():
                self._curve(f"{path}/seconds.curve", index, durations)
            for metric, values in (("accuracy", accuracy), ("loss", loss)):
                series = _series(values, keys)
                if seconds:  # the official packages return no epoch after a missing time
                    series[np.isnan(np.cumsum(durations))] = np.nan
                if not np.isnan(series[:-1]).all():
                    self._curve(f"{path}/{metric}.curve", index, series)

    def _set(self, column: str, index: int, value: float | None) -> None:
        if value is None or np.isnan(value):
            return
        if column not in self._finals:
            self._finals[column] = np.full(SIZE, np.nan)
        self._finals[column][index] = value

    def _curve(self, column: str, index: int, series: npt.NDArray[np.float32]) -> None:
        if column not in self._curves:
            self._curves[column] = _empty_curve(self._writer, column, len(series))
        self._pending.setdefault(column, []).append((index, series))

    def _flush(self) -> None:
        for column, rows in self._pending.items():
            path, offset = self._curves[column]
            with open(path, "r+b") as file:
                for index, series in rows:
                    file.seek(offset + index * series.nbytes)
                    file.write(series.tobytes())
        self._pending.clear()
        self._waiting = 0


def _empty_curve(writer: TableWriter, column: str, epochs: int) -> tuple[str, int]:
    """Return file and offset of a new column of NaN.

    The column is written, not mapped: mapped pages count as memory of the process, and on a full disk they kill it.
    """
    mapped = writer.create(column, (SIZE, epochs), np.float32)
    path, offset = str(mapped.filename), mapped.offset
    del mapped
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(np.full((SIZE, epochs), np.nan, np.float32).tobytes())
    return path, offset


@cache
def _keys(split: str, epochs: int) -> tuple[str, ...]:
    return tuple(f"{split}@{epoch}" for epoch in range(epochs))


def _series(values: Any, keys: tuple[Any, ...]) -> npt.NDArray[np.float32]:
    """Return the values of all epochs, NaN if not recorded. ``values`` maps keys to numbers, or is a list by epoch."""
    if isinstance(values, list | tuple):
        values = dict(enumerate(values))
    return np.fromiter((values.get(key, np.nan) for key in keys), np.float32, len(keys))


def _archresults(kind: str) -> Any:
    """Return the official class that reads ``kind``. The class of either package reads the records of both."""
    packages = ("nats_bench", "nas_201_api") if kind == NATS else ("nas_201_api", "nats_bench")
    for package in packages:
        try:
            return importlib.import_module(package).ArchResults
        except ImportError:
            continue
    raise UserError("importing official files needs one of their packages: pip install nats-bench (or nas-bench-201)")
