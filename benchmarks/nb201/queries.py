"""Plain queries of a table, outside any search: the questions that the API of the official packages answers.

    from benchmarks.nb201.queries import open_table

    table = open_table()
    table.more_info(6111, "ImageNet16-120", 200)["test-accuracy"]
    table.best("cifar10", "test", 200, flops=100)

Test values are included, so no method may import this module. An architecture is an official index, a cell's text
``|nor_conv_3x3~0|+|...|``, or a tuple of six operation numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.table import COSTS, REPORTED, SIZE, SPLITS, Records, spelled
from harness.cache import Table
from harness.problem import MissingRecord
from harness.space import Arch


@dataclass(frozen=True)
class Best:
    """The architecture with the highest accuracy under limits."""

    index: int
    cell: str
    accuracy: float
    """In percent, mean over the recorded seeds."""


def open_table(path: str | Path | None = None) -> Queries:
    """Return the queries of an official file or folder, or of plain columns; None: of the table that a search would use.

    Raises:
        UserError: there is no table, or the source cannot be imported.
    """
    return Queries(LIBRARY.table(path))


class Queries:
    """The queries of one table. Data sets have the names ``cifar10-valid``, ``cifar10``, ``cifar100``, ``ImageNet16-120``."""

    def __init__(self, table: Table) -> None:
        self.records = Records(table)
        """All columns of the table."""
        self.space = NB201Space()

    def index(self, cell: str | Arch | int) -> int:
        """Return the official index of a cell. Raises :class:`harness.space.InvalidArchitecture`."""
        if isinstance(cell, str):
            return self.space.index(self.space.from_str(cell))
        return self.space.index(cell if isinstance(cell, tuple) else self.space.at(int(cell)))

    def cell(self, index: int) -> str:
        """Return the text of the cell with an official index."""
        return self.space.to_str(self.space.at(index))

    def unique(self, cell: str | Arch | int) -> str:
        """Return the unique string of a cell: cells with equal strings are equal networks (6 466 of 15 625)."""
        return self.space.canonical(self.space.at(self.index(cell)))

    def more_info(
        self, cell: str | Arch | int, dataset: str, recipe: int | str, seed: int | None = None, epoch: int | None = None
    ) -> dict[str, float | None]:
        """Return the official ``get_more_info``; see :meth:`benchmarks.nb201.table.Records.more_info`."""
        return self.records.more_info(self.index(cell), dataset, recipe, seed, epoch)

    def costs(self, cell: str | Arch | int, dataset: str, recipe: int | str) -> dict[str, float | None]:
        """Return ``params`` (M), ``flops`` (M multiply-adds) and ``latency`` (seconds), as NATS-Bench 1.6 and later do."""
        self.records.require(dataset, recipe)
        index, columns = self.index(cell), self.records.costs(dataset, recipe)
        values = {kind: math.nan if column is None else float(column[index]) for kind, column in columns.items()}
        return {kind: None if math.isnan(value) else value for kind, value in values.items()}

    def best(self, dataset: str, split: str, recipe: int | str, **limits: float) -> Best:
        """Return the recorded architecture with the highest accuracy, the first of equals (official ``find_best``).

        Args:
            split: ``train``, ``valid``, ``test`` or ``valtest`` as in :meth:`more_info`, or a recorded split, ``x-valid``.
                ``valid`` of ``cifar10`` is that of ``cifar10-valid``.
            limits: largest ``flops`` (M), ``params`` (M) and ``latency`` (seconds). An unknown cost is above every limit.

        Raises:
            MissingRecord: no architecture has such a record within the limits.
        """
        if unknown := limits.keys() - set(COSTS):
            raise ValueError(f"no limit {min(unknown)!r}; there is {', '.join(COSTS)}")
        source = "cifar10-valid" if (spelled(dataset), split) == ("cifar10", "valid") else spelled(dataset)
        self.records.require(source, recipe)
        part = REPORTED[source].get(split, split)
        if part not in SPLITS:
            raise ValueError(f"no split {split!r} of {dataset}; there is train, {', '.join(REPORTED[source])}")
        column, costs = self.records.mean(source, recipe, part, "accuracy"), self.records.costs(source, recipe)
        accuracies = np.full(SIZE, np.nan) if column is None else column.copy()
        for kind, limit in limits.items():
            cost = costs[kind]
            accuracies[np.full(SIZE, True) if cost is None else ~(cost <= limit)] = np.nan
        if np.isnan(accuracies).all():
            bounds = "".join(f", {kind} up to {limit:g}" for kind, limit in limits.items())
            raise MissingRecord(f"no architecture has a {recipe}-epoch accuracy on {part} of {dataset}{bounds}")
        index = int(np.nanargmax(accuracies))
        return Best(index, self.cell(index), float(accuracies[index]))
