"""The recorded trainings of a benchmark as a library: the questions that the official packages' APIs answer.

    from harness import tables

    table = tables.open("nb201")
    table.accuracy(6111, "cifar10", "test")
    table.best("ImageNet16-120", "valid", flops=100)

Test values are included: this is for people, and no method may import it. ``docs/tables.md`` has the equivalent of each call
of the official packages. A space offers its tables as :func:`tables` in ``benchmarks/SPACE/queries.py``.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness import registry
from harness.errors import UserError
from harness.packages import PROJECT
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture

if TYPE_CHECKING:
    import pandas

Values = npt.NDArray[np.float64]
Opener = Callable[[str | Path | None], "BenchmarkTable"]
"""Opens a table from a source; None: the table that a search would use."""

COSTS = ("params", "flops", "latency")
"""Costs of a network: parameters (M), multiply-adds of one image (M), latency (seconds)."""
METRICS = ("accuracy", "loss", "seconds")
"""``accuracy`` in percent; ``loss`` in nats; ``seconds`` of the complete training (``train``) or of one evaluation pass."""


@dataclass(frozen=True)
class Best:
    """The architecture with the highest accuracy under limits."""

    index: int
    cell: str
    accuracy: float
    """In percent."""


class Simulated(NamedTuple):
    """A training as a search sees it."""

    accuracy: float
    """On the validation split, in percent."""
    latency: float | None
    """Seconds; None if it is not recorded."""
    seconds: float
    """Training and one pass over the validation split."""


class Summary(NamedTuple):
    """Statistics of an accuracy, in percent, over the architectures that have it."""

    recorded: int
    mean: float
    deviation: float
    """With ddof 0."""
    least: float
    median: float
    largest: float


class BenchmarkTable(ABC):
    """The recorded trainings of the architectures of a search space.

    A *cell* is an architecture under any of its names: its index (an int), its text, its tuple of small ints, and its hash or
    canonical string, which isomorphic cells share. ``table[cell]`` is its text, ``for text in table`` yields all texts in the
    order of the index, and ``cell in table`` is whether the table has a training of it.

    Arguments of the queries:
        dataset: in the official spelling or in lower case; None: the benchmark's own data set, if it has one.
        split: ``train``, ``valid``, ``test`` or ``valtest``, or the official name of a part, such as ``x-valid``.
        epochs: the length of the training (official ``hp``); None: the longest.
        seed: of a training; None: the mean over the cell's trainings.
        epoch: counted from 0; None: the last.

    Raised by the queries:
        InvalidArchitecture: no cell of the space has this name.
        MissingRecord: the table has no such training or value.
        UserError: a wrong split, metric or limit.
    """

    datasets: tuple[str, ...]
    """Data sets with trainings, in lower case."""

    def __init__(self, name: str, source: str, dataset: str | None) -> None:
        """Set the benchmark's id, the source of the table in one line, and the data set that queries mean by default."""
        self.name, self.source, self._default = name, source, dataset
        self._values: dict[tuple[Any, ...], Values] = {}
        self._cost_columns: dict[tuple[Any, ...], dict[str, Values]] = {}

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of architectures, recorded or not."""

    @abstractmethod
    def __getitem__(self, cell: Any) -> str:
        """Return the text of a cell."""

    @abstractmethod
    def index(self, cell: Any) -> int:
        """Return the index of a cell; of a hash or canonical string, the first cell that has it."""

    @abstractmethod
    def canonical(self, cell: Any) -> str:
        """Return the name that isomorphic cells share: the graph hash, or the unique string of NAS-Bench-201."""

    @abstractmethod
    def epochs(self, dataset: str | None = None) -> tuple[int, ...]:
        """Return the lengths of the trainings on a data set, ascending."""

    @abstractmethod
    def seeds(self, dataset: str | None = None, epochs: int | str | None = None) -> tuple[str, ...]:
        """Return the seeds of the trainings, sorted; ``mean`` if the source has means over the seeds."""

    @abstractmethod
    def splits(self, dataset: str | None = None) -> tuple[str, ...]:
        """Return the splits that :meth:`info` may have on a data set."""

    @abstractmethod
    def info(
        self,
        cell: Any,
        dataset: str | None = None,
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
    ) -> dict[str, float | None]:
        """Return all values of a training: ``SPLIT-accuracy``, ``-loss``, ``-per-time`` and ``-all-time`` (seconds).

        A split without a record has no keys; None is a value that the source does not have.
        """

    @abstractmethod
    def trials(self, dataset: str | None = None, epochs: int | str | None = None) -> dict[int, int]:
        """Return how many architectures have 0, 1, 2, ... trainings (official ``statistics``); empty for a table of means."""

    @abstractmethod
    def _column(self, dataset: str, split: str, epochs: int, seed: str | None, epoch: int | None, metric: str) -> Values:
        """Return :meth:`values` of checked names, a new array."""

    @abstractmethod
    def _costs_of(self, dataset: str, epochs: int) -> Mapping[str, Values | None]:
        """Return the recorded :data:`COSTS`, each of shape (architectures,)."""

    def values(
        self,
        dataset: str | None = None,
        split: str = "test",
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
        metric: str = "accuracy",
    ) -> Values:
        """Return a metric (:data:`METRICS`) of all architectures, read-only, of shape (architectures,), NaN without a record.

        On CIFAR-10 ``valid`` is that of ``cifar10-valid``, whose networks were trained without the validation half.
        """
        key = (dataset, split, epochs, seed, epoch, metric)
        if key not in self._values:
            name, part = self._searched(dataset, split)
            length = self.length(name, epochs)
            if part not in self._parts(name):
                raise UserError(f"no split {split!r} of {name}; there is {', '.join(self.splits(name))}")
            if metric not in METRICS:
                raise UserError(f"no metric {metric!r}; there is {', '.join(METRICS)}")
            column = self._column(name, part, length, self._seed(name, length, seed), position(epoch, length), metric)
            column.flags.writeable = False
            self._values[key] = column
        return self._values[key]

    def accuracy(
        self,
        cell: Any,
        dataset: str | None = None,
        split: str = "test",
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
    ) -> float:
        """Return the accuracy of a cell in percent; see :meth:`values`."""
        accuracy = self.values(dataset, split, epochs, seed, epoch).item(self.index(cell))
        if math.isnan(accuracy):
            what = f"{'' if seed is None else f', seed {seed}'}{'' if epoch is None else f', epoch {epoch}'}"
            raise MissingRecord(f"{self.name} has no {split} accuracy of {cell!s:.100} on {dataset or self._default}{what}")
        return float(accuracy)

    def cost_columns(self, dataset: str | None = None, epochs: int | str | None = None) -> dict[str, Values]:
        """Return :data:`COSTS` of all architectures, read-only, each of shape (architectures,), NaN if it is not recorded."""
        key = (dataset, epochs)
        if key not in self._cost_columns:
            name = self.dataset(dataset)
            known = self._costs_of(name, self.length(name, epochs))
            columns = {kind: known.get(kind) for kind in COSTS}
            missing = np.full(len(self), np.nan)
            self._cost_columns[key] = {kind: missing if values is None else values for kind, values in columns.items()}
        return self._cost_columns[key]

    def costs(self, cell: Any, dataset: str | None = None, epochs: int | str | None = None) -> dict[str, float | None]:
        """Return :data:`COSTS` of a cell; None is a value that is not recorded."""
        index = self.index(cell)
        costs = {kind: column.item(index) for kind, column in self.cost_columns(dataset, epochs).items()}
        return {kind: None if cost != cost else cost for kind, cost in costs.items()}

    def best(
        self,
        dataset: str | None = None,
        split: str = "test",
        epochs: int | str | None = None,
        seed: int | str | None = None,
        *,
        params: float | None = None,
        flops: float | None = None,
        latency: float | None = None,
    ) -> Best:
        """Return the recorded architecture with the highest accuracy, the first of equals (official ``find_best``).

        Args:
            params: the most parameters (M).
            flops: the most multiply-adds (M).
            latency: the longest latency (seconds). A cost that is not recorded is above every limit.
        """
        limits = {kind: limit for kind, limit in zip(COSTS, (params, flops, latency), strict=True) if limit is not None}
        accuracies = self.values(dataset, split, epochs, seed)
        if limits:
            name, _ = self._searched(dataset, split)
            columns = self.cost_columns(name, epochs)
            inside = np.logical_and.reduce([columns[kind] <= limit for kind, limit in limits.items()])
            accuracies = np.where(inside, accuracies, np.nan)
        try:
            index = int(np.nanargmax(accuracies))
        except ValueError:
            bounds = "".join(f", {kind} up to {limit:g}" for kind, limit in limits.items())
            raise MissingRecord(
                f"no architecture has a {split} accuracy on {dataset or self._default}{bounds}; allow more, or another split"
            ) from None
        return Best(index, self[index], float(accuracies[index]))

    def simulate(
        self,
        cell: Any,
        dataset: str | None = None,
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
    ) -> Simulated:
        """Return what a search is given for one training and pays for it (official ``simulate_train_eval``).

        Args:
            epochs: None: the shortest training.
        """
        name, _ = self._searched(dataset, "valid")
        length = self.epochs(name)[0] if epochs is None else epochs
        info = self.info(cell, name, length, seed, epoch)
        accuracy, seconds = info.get("valid-accuracy"), info["train-all-time"]
        if accuracy is None or seconds is None:
            raise MissingRecord(f"{self.name} has no validation accuracy and time of {cell!s:.100} after this epoch on {name}")
        return Simulated(accuracy, self.costs(cell, name, length)["latency"], seconds + (info.get("valid-per-time") or 0.0))

    def summary(self, dataset: str | None = None, split: str = "test", epochs: int | str | None = None) -> Summary:
        """Return statistics of the accuracy over all architectures that have it."""
        accuracies = self.values(dataset, split, epochs)
        recorded = accuracies[~np.isnan(accuracies)]
        if not len(recorded):
            raise MissingRecord(f"{self.name} has no {split} accuracy on {dataset or self._default}")
        statistics = (recorded.mean(), recorded.std(), recorded.min(), np.median(recorded), recorded.max())
        return Summary(len(recorded), *map(float, statistics))

    def frame(self, dataset: str | None = None, epochs: int | str | None = None) -> pandas.DataFrame:
        """Return a data frame with a line per architecture: costs, training seconds, and the accuracy on each split."""
        import pandas

        columns = {**self.cost_columns(dataset, epochs), "seconds": self.values(dataset, "train", epochs, metric="seconds")}
        columns |= {split: self.values(dataset, split, epochs) for split in self.splits(dataset)}
        return pandas.DataFrame({name: column for name, column in columns.items() if not np.isnan(column).all()})

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def __contains__(self, cell: object) -> bool:
        try:
            index = self.index(cell)
        except (InvalidArchitecture, MissingRecord):
            return False
        for dataset in self.datasets:
            for epochs in self.epochs(dataset):
                try:
                    self.info(index, dataset, epochs)
                except MissingRecord:
                    continue
                return True
        return False

    def __repr__(self) -> str:
        return f"<{self.name}: {self.source}>"

    def dataset(self, dataset: str | None) -> str:
        """Return the name of a data set as :attr:`datasets` has it; None: the benchmark's own."""
        name = self._default if dataset is None else str(dataset).lower()
        if name not in self.datasets:
            problem = "name a data set" if name is None else f"no data set {dataset!r} in {self.name}"
            raise MissingRecord(f"{problem}; there is {', '.join(self.datasets)}")
        return name

    def length(self, dataset: str | None, epochs: int | str | None) -> int:
        """Return the length of a training as a number of epochs; None: the longest on this data set."""
        lengths = self.epochs(dataset)
        if epochs is None:
            return lengths[-1]
        if str(epochs) not in map(str, lengths):
            raise MissingRecord(
                f"no {epochs}-epoch training of {self.dataset(dataset)}; there is {' and '.join(map(str, lengths))}"
            )
        return int(epochs)

    def _seed(self, dataset: str, epochs: int, seed: int | str | None) -> str | None:
        seeds = self.seeds(dataset, epochs)
        if seed is not None and str(seed) not in seeds:
            raise MissingRecord(f"no {epochs}-epoch training of {dataset} with seed {seed}; there is {', '.join(seeds)}")
        return None if seed is None else str(seed)

    def _searched(self, dataset: str | None, split: str) -> tuple[str, str]:
        """Return the data set and split that a question about a split means."""
        return self.dataset(dataset), split

    def _parts(self, dataset: str) -> Sequence[str]:
        """Return all names of splits of a data set."""
        return self.splits(dataset)


def position(epoch: int | None, length: int) -> int | None:
    """Return the number of an epoch that is not the last; None: the last. Raises :class:`MissingRecord`."""
    if epoch is None or epoch == length - 1:
        return None
    if not 0 <= epoch < length:
        raise MissingRecord(f"epoch {epoch} is outside 0 to {length - 1} of the {length}-epoch training")
    return int(epoch)


def names() -> list[str]:
    """Return the names that :func:`open` knows. A space's name, such as ``nb201``, means its official table."""
    return list(_openers())


def open(name: str, source: str | Path | None = None) -> BenchmarkTable:
    """Open a table.

    Args:
        name: a space or a benchmark of :func:`names`: ``nb201``, ``nb201/digits``, ``nb1shot1/3``.
        source: an official file or folder, or a table of plain columns; None: the table that a search would use.

    Raises:
        UserError: the name is unknown, there is no table, or the source cannot be imported.
    """
    opener = _openers(name.partition("/")[0].lower()).get(name.lower())
    if opener is None:
        known = names()
        raise UserError(f"no table {name!r}{registry.suggest(name, known) or '; there is ' + ', '.join(known)}")
    return opener(source)


def _openers(space: str | None = None) -> dict[str, Opener]:
    """Return what opens the tables of a space, or of all spaces, by name."""
    openers: dict[str, Opener] = {}
    for file in sorted((PROJECT / "benchmarks").glob("*/queries.py")):
        if space in (None, file.parent.name):
            offered: Mapping[str, Opener] = importlib.import_module(f"benchmarks.{file.parent.name}.queries").tables()
            openers |= offered
    return openers
