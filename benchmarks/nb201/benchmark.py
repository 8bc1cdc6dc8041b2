"""NAS-Bench-201 as benchmarks of the harness: the oracle that a search asks, and the judge that it never sees."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.nb201 import importer
from benchmarks.nb201.space import NB201Space, official_index
from benchmarks.nb201.table import MEAN, Records
from harness.problem import Arch, Availability, InvalidArchitecture, MissingRecord, UserError
from harness.seeds import mix

SEARCHED: Final = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "imagenet16-120": "imagenet16-120"}
"""For each benchmark, the official dataset whose models a search may look at: on CIFAR-10, those trained on half the images.

The judge reads ``cifar10``: models trained on all training images.
"""

TRAIN_IMAGES: Final = {"cifar10-valid": 25_000, "cifar100": 50_000, "imagenet16-120": 151_700}

Column = npt.NDArray[np.float64]


class NB201Benchmark:
    """Search on one dataset of NAS-Bench-201 by looking trainings up."""

    kinds = ("multi-trial",)
    embedded = False

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.id = f"nb201/{dataset}"

    def availability(self) -> Availability:
        found = importer.state()
        if not found:
            return Availability(False, "missing: NAS-Bench-201 or NATS-Bench table, see `python -m harness.data status`")
        return Availability(True, f"found: {found[0].text}")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> NB201Problem:
        table = importer.find_table(lambda line: print(line, file=sys.stderr, flush=True))
        if table is None:
            raise UserError(f"{self.id} needs a NAS-Bench-201 or NATS-Bench table; see `python -m harness.data status`")
        return NB201Problem(Records(table), self.dataset, int(search["recipe"]), judge)


def benchmarks() -> list[NB201Benchmark]:
    """The three datasets that a search can look at."""
    return [NB201Benchmark(dataset) for dataset in SEARCHED]


class NB201Problem:
    """A table opened under a protocol."""

    def __init__(self, records: Records, dataset: str, recipe: int, judge: Mapping[str, Any]) -> None:
        self.space = NB201Space()
        self.checksum = records.table.checksum
        self._signal = _Signal(records, SEARCHED[dataset], recipe)
        self.fidelities = self._signal.fidelities
        self.record = self._signal.record
        reported: Mapping[str, str] = judge["records"]
        if judge.get("searched_only"):
            reported = {dataset: reported[dataset]}
        self.judge = NB201Judge(records, int(judge["recipe"]), reported)
        self.facts = {
            "source": str(records.table.meta.get("kind", "unknown source")),
            "search": f"validation accuracy (x-valid) of {SEARCHED[dataset]} after the {recipe}-epoch training",
            **{
                f"judge:{target}": f"{target}, {split}, {judge['recipe']} epochs, mean of recorded seeds"
                for target, split in reported.items()
            },
        }

    def oracle(self, world: int) -> NB201Oracle:
        return NB201Oracle(self._signal, world)


class _Signal:
    """Validation accuracies and costs of one dataset and recipe, as plain lists; nothing else of the table."""

    def __init__(self, records: Records, dataset: str, recipe: int) -> None:
        trainings = {seed: list(_trainings(records, dataset, recipe, seed)) for seed in records.seeds(dataset, recipe)}
        drawn = [seed for seed, found in trainings.items() if found and seed != MEAN]
        self.record = "drawn" if drawn else "mean"
        self.index = official_index()
        self.accuracy: dict[int, list[list[float]]] = {}
        self.seconds: dict[int, list[list[float]]] = {}
        for seed in drawn or [MEAN]:
            for epoch, accuracy, seconds in trainings.get(seed, []):
                # a training whose time is not recorded cannot be charged, hence not be asked for
                self.accuracy.setdefault(epoch, []).append(np.where(np.isnan(seconds), np.nan, accuracy).tolist())
                self.seconds.setdefault(epoch, []).append(seconds.tolist())
        if recipe not in self.accuracy:
            raise UserError(f"the table has no x-valid accuracy of {dataset} for the {recipe}-epoch training")
        self.fidelities = tuple(sorted(self.accuracy))
        flops = records.costs(dataset, recipe)["flops"]
        known = np.zeros(len(self.index)) if flops is None else np.nan_to_num(flops)
        self.macs_per_epoch: list[float] = (known * 1e6 * TRAIN_IMAGES[dataset]).tolist()


class NB201Oracle:
    """The search side: draws one recorded training per query, by the world, the cell, the epoch and how often it was asked."""

    __slots__ = ("fidelities", "_index", "_accuracy", "_seconds", "_macs", "_world")

    def __init__(self, signal: _Signal, world: int) -> None:
        self.fidelities = signal.fidelities
        self._index = signal.index
        self._accuracy = signal.accuracy
        self._seconds = signal.seconds
        self._macs = signal.macs_per_epoch
        self._world = world

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        try:
            i = self._index[arch]
            if type(sum(arch)) is not int:  # (1.0, ...) is the same key as (1, ...)
                raise TypeError
        except (KeyError, TypeError):
            raise InvalidArchitecture(f"{arch!r} is not a cell of NAS-Bench-201: six plain ints, each 0 to 4") from None
        epoch = self.fidelities[-1] if fidelity is None else fidelity
        try:
            trials = self._accuracy[epoch]
        except KeyError:
            known = ", ".join(map(str, self.fidelities))
            raise MissingRecord(f"no validation accuracy after epoch {epoch} in this table; there is {known}") from None
        k = 0
        if len(trials) > 1:
            recorded = [k for k, trial in enumerate(trials) if trial[i] == trial[i]]
            if recorded:
                k = recorded[mix(self._world ^ (i << 24) ^ (epoch << 12) ^ asked) % len(recorded)]
        accuracy = trials[k][i]
        if accuracy != accuracy:
            raise MissingRecord(f"the table has no {epoch}-epoch training of cell {i}")
        return accuracy, self._seconds[epoch][k][i], epoch, self._macs[i] * epoch


class NB201Judge:
    """The reporting side: means over recorded seeds of the final training; regret and rank over all cells recorded."""

    def __init__(self, records: Records, recipe: int, reported: Mapping[str, str]) -> None:
        self._index = official_index()
        self._columns: dict[str, list[list[float]]] = {}
        self.optimum: dict[str, float] = {}
        self.set_size: dict[str, int] = {}
        for target, split in reported.items():
            test = records.mean(target, recipe, split, "accuracy")
            valid = records.mean(SEARCHED[target], recipe, "x-valid", "accuracy")
            if test is None:
                continue  # missing stays missing: the target is left out, and the caption names what judged
            known = np.sort(test[~np.isnan(test)])
            rank = np.where(np.isnan(test), np.nan, 1 + len(known) - np.searchsorted(known, test, side="right"))
            best = float(known[-1])
            missing = np.full(len(test), np.nan)
            columns = (missing if valid is None else valid, test, best - test, rank)
            self._columns[target] = [column.tolist() for column in columns]
            self.optimum[target] = best
            self.set_size[target] = len(known)
        if not self._columns:
            raise UserError(f"the table has no {recipe}-epoch test accuracy of {', '.join(reported)}")
        whole = all(size == len(self._index) for size in self.set_size.values())
        self.stated_set = "all 15 625 cells" if whole else "the cells that the table has records of"

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        i = self._index[arch]
        return {
            target: {"valid": valid[i], "test": test[i], "regret": regret[i], "rank": rank[i]}
            for target, (valid, test, regret, rank) in self._columns.items()
        }


def _trainings(records: Records, dataset: str, recipe: int, seed: str) -> Iterator[tuple[int, Column, Column]]:
    """(epoch, validation accuracy, charged seconds) of one recorded seed, for every epoch that has a validation accuracy.

    A query to epoch e is charged e training epochs and one validation pass.
    """
    train = records.get(dataset, recipe, seed, "train", "total_seconds")
    one_pass = records.get(dataset, recipe, seed, "x-valid", "pass_seconds")
    last = records.get(dataset, recipe, seed, "x-valid", "accuracy")
    if train is None or one_pass is None or last is None:
        return
    curve = records.curve(dataset, recipe, seed, "x-valid", "accuracy")
    train_curve = records.curve(dataset, recipe, seed, "train", "seconds")
    pass_curve = records.curve(dataset, recipe, seed, "x-valid", "seconds")
    for epoch in range(1, recipe):
        if curve is None or np.isnan(curve[:, epoch - 1]).all():
            continue
        spent, check = train * epoch / recipe, one_pass
        if train_curve is not None:  # NaN where the seconds do not vary over epochs
            varying = train_curve[:, :epoch].sum(axis=1, dtype=np.float64)
            spent = np.where(np.isnan(varying), spent, varying)
        if pass_curve is not None:
            varying = pass_curve[:, :epoch].mean(axis=1, dtype=np.float64)
            check = np.where(np.isnan(varying), check, varying)
        yield epoch, curve[:, epoch - 1].astype(np.float64), spent + check
    yield recipe, last, train + one_pass
