"""NAS-Bench-201's tables as a library; see :mod:`harness.tables`. No method may import this module: it has test values.

A cell is named by its official index, its text ``|nor_conv_3x3~0|+|...|``, a tuple of six operation numbers, or its unique
string, which isomorphic cells share.
"""

from __future__ import annotations

import operator
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.nb201.digits_bundle import BUNDLE
from benchmarks.nb201.info import Infos, Trainings
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.macro import DIGITS, PAPER
from benchmarks.nb201.space import EDGES, OPS, NB201Space, official_order
from benchmarks.nb201.table import DATASETS, MEAN, REPORTED, SIZE, SPLITS, Records
from harness.cache import Table
from harness.errors import UserError
from harness.space import as_arch
from harness.tables import BenchmarkTable, Opener, Values, position

CLASSES: Final = {"cifar100": 100, "imagenet16-120": 120}
"""Number of classes of the data sets that do not have ten."""


class NB201Table(BenchmarkTable):
    """The queries of one table."""

    def __init__(self, table: Table, name: str, source: str, dataset: str | None = None) -> None:
        super().__init__(name, source, dataset)
        self.records = Records(table)
        """All columns of the table."""
        self.space = NB201Space()
        self.datasets = tuple(sorted(self.records.datasets))
        self._infos: dict[tuple[Any, ...], Infos] = {}
        self._asked: dict[tuple[Any, ...], int] = {}
        """The epoch of the last question about each training."""
        self._trainings: dict[tuple[str, int], Trainings] = {}

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, cell: Any) -> str:
        return self.space.to_str(self.space.at(self.index(cell)))

    def index(self, cell: Any) -> int:
        if type(cell) is int and 0 <= cell < SIZE:
            return cell
        if isinstance(cell, str):
            index = self._texts.get(cell, self._unique.get(cell) if "~" not in cell else None)
            return self.space.index(self.space.from_str(cell)) if index is None else index
        try:
            return self.space.index(self.space.at(operator.index(cell)))
        except TypeError:
            return self.space.index(as_arch(cell))

    @cached_property
    def _texts(self) -> dict[str, int]:
        return {self.space.to_str(arch): index for index, arch in enumerate(official_order())}

    @cached_property
    def _unique(self) -> dict[str, int]:
        """Return the first cell of each unique string."""
        return {self.space.canonical(official_order()[index]): index for index in reversed(range(SIZE))}

    def arch(self, cell: Any) -> tuple[int, ...]:
        """Return a cell as a tuple of six operation numbers, in the order of its text."""
        return self.space.at(self.index(cell))

    def canonical(self, cell: Any) -> str:
        return self.space.canonical(self.arch(cell))

    def lists(self, cell: Any) -> list[tuple[tuple[str, int], ...]]:
        """Return for nodes 1, 2 and 3 their operations and inputs (official ``str2lists``)."""
        edges = [(target, OPS[op], source) for (target, source), op in zip(EDGES, self.arch(cell), strict=True)]
        return [tuple((op, source) for target, op, source in edges if target == node) for node in (1, 2, 3)]

    def matrix(self, cell: Any) -> list[list[int]]:
        """Return the 4 x 4 operation numbers, row = target, column = source (official ``str2matrix``)."""
        matrix = [[0] * 4 for _ in range(4)]
        for (target, source), op in zip(EDGES, self.arch(cell), strict=True):
            matrix[target][source] = op
        return matrix

    def config(self, cell: Any, dataset: str | None = None) -> dict[str, Any]:
        """Return the arguments of the official network (``get_net_config``): channels ``C``, cells per stage ``N``, classes."""
        name = self.dataset(dataset)
        macro = DIGITS if name == "digits" else PAPER
        classes = CLASSES.get(name, macro.classes)
        return {"name": "infer.tiny", "C": macro.width, "N": macro.depth, "arch_str": self[cell], "num_classes": classes}

    def epochs(self, dataset: str | None = None) -> tuple[int, ...]:
        return self.records.recipes(self.dataset(dataset))

    def seeds(self, dataset: str | None = None, epochs: int | str | None = None) -> tuple[str, ...]:
        name = self.dataset(dataset)
        return self.records.seeds(name, self.length(name, epochs))

    def splits(self, dataset: str | None = None) -> tuple[str, ...]:
        return ("train", *REPORTED[self.dataset(dataset)])

    def info(
        self,
        cell: Any,
        dataset: str | None = None,
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
    ) -> dict[str, float | None]:
        """Return the official ``get_more_info`` of a trial, or of the mean over trials (official ``is_random=False``)."""
        index = self.index(cell)
        training = (dataset, epochs, seed)
        if epoch is not None:
            epoch = position(epoch, self.length(dataset, epochs))
        if epoch is not None:
            infos = self._infos.get((training, None, index))
            if infos is not None:
                return infos.at(index, epoch)
        infos = self._infos.get((training, epoch, None))
        if infos is None:
            if epoch is not None and self._asked.get(training) != epoch:
                self._asked[training] = epoch
                return self._read(training, None, index).at(index, epoch)
            infos = self._read(training, epoch, None)  # also for two cells at one epoch, which may be a scan of all cells
        return infos.at(index, index)

    def _read(self, training: tuple[Any, Any, Any], epoch: int | None, index: int | None) -> Infos:
        """Return the values of all cells after an epoch, or of the cell ``index`` after every epoch."""
        name = self.dataset(training[0])
        length = self.length(name, training[1])
        rows = slice(None) if index is None else slice(index, index + 1)
        ends = np.arange(length) if index is not None else np.array([length - 1 if epoch is None else epoch])
        if len(self._infos) > 64:  # each has up to 2 MB
            self._infos.clear()
        infos = Infos(self._of(name, length), self._seed(name, length, training[2]), rows, ends)
        self._infos[training, epoch, index] = infos
        return infos

    def _of(self, dataset: str, epochs: int) -> Trainings:
        if (dataset, epochs) not in self._trainings:
            self._trainings[dataset, epochs] = Trainings(self.records, dataset, epochs)
        return self._trainings[dataset, epochs]

    def _costs_of(self, dataset: str, epochs: int) -> dict[str, Values | None]:
        return self.records.costs(dataset, epochs)

    def trials(self, dataset: str | None = None, epochs: int | str | None = None) -> dict[int, int]:
        name = self.dataset(dataset)
        trained = self._of(name, self.length(name, epochs)).trained
        trials = [mask for seed, mask in trained.items() if seed != MEAN]
        return dict(sorted(Counter(np.sum(trials, axis=0).tolist()).items())) if trials else {}

    def _column(self, dataset: str, split: str, epochs: int, seed: str | None, epoch: int | None, metric: str) -> Values:
        ends, rows = np.array([epochs - 1 if epoch is None else epoch]), slice(None)
        part, trainings = REPORTED[dataset].get(split, split), self._of(dataset, epochs)
        values = trainings.mean(part, metric, rows, ends) if seed is None else trainings.one(seed, part, metric, rows, ends)
        return values[:, 0] / (1 if part == "train" or metric != "seconds" else ends[0] + 1)

    def _searched(self, dataset: str | None, split: str) -> tuple[str, str]:
        name = self.dataset(dataset)
        return ("cifar10-valid" if (name, split) == ("cifar10", "valid") else name), split

    def _parts(self, dataset: str) -> tuple[str, ...]:
        return (*self.splits(dataset), *SPLITS)


def tables() -> dict[str, Opener]:
    """Return what opens each table, by the benchmark's id; ``nb201`` is the official table."""

    def official(name: str, dataset: str | None) -> Opener:
        def opened(source: str | Path | None) -> NB201Table:
            table = LIBRARY.table(source)
            return NB201Table(table, name, LIBRARY.line(table), dataset)

        return opened

    def digits(source: str | Path | None) -> NB201Table:
        if source is not None:
            raise UserError(
                f"{BUNDLE.name} is bundled and has no other source than its own, not {source}; open 'nb201' with it"
            )
        table = BUNDLE.open()
        return NB201Table(table, BUNDLE.name, table.meta["kind"], "digits")

    searched = [dataset for dataset in DATASETS if dataset != "cifar10-valid"]
    return {"nb201": official("nb201", None), BUNDLE.name: digits} | {
        f"nb201/{dataset}": official(f"nb201/{dataset}", dataset) for dataset in searched
    }
