"""The traces of finished searches, packed row by row into flat columns: 100 000 of them take little memory and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

Values = np.ndarray | Sequence[float]

Columns = Mapping[str, Values]
"""Columns of numbers by name."""


class Log:
    """Names of logged columns that tables and figures read."""

    EPOCH = "epoch"
    SECONDS = "seconds"
    """Charged seconds at the end of the epoch."""
    ENTROPY = "entropy"
    SUPERNET_ACCURACY = "supernet_accuracy"
    FINAL_SUPERNET_ACCURACY = "final_supernet_accuracy"
    """Accuracy after the last epoch, percent."""
    TRAINED_EPOCHS = "trained_epochs"
    """Number of epochs at the end of a search; one that its budget cut short counts as its fraction."""
    CHANCE = "chance"
    """Accuracy of guessing, percent."""
    MEASURED = "measured"
    """Number of cells that a round measured."""
    USABLE = "usable"
    """Number of these measurements that were used."""
    DISCRETISED_ACCURACY = "discretised_accuracy"
    SHARED_ACCURACY = "shared_accuracy"
    OWN_ACCURACY = "own_accuracy"
    FEATURES = "features"
    PROPOSED = "proposed"
    """1 if the epoch's architecture is the new proposal, 0 if that of an earlier epoch stays."""
    ALIVE = "alive"
    """Number of decisions that a search has not settled, or of feature maps that it has not dropped."""
    STRENGTH = "strength"
    """Strength of the penalty of a pruned network; its inputs, neurons and pruned weights (percent) are logged with it."""
    INPUTS = "inputs"
    NEURONS = "neurons"
    SPARSITY = "sparsity"
    PRUNED_ACCURACY = "pruned_accuracy"
    """Validation accuracy of a pruned network with the weights of the search, percent."""
    BEFORE_ABSORPTION = "accuracy_before_absorption"
    AFTER_ABSORPTION = "accuracy_after_absorption"
    WEIGHT = "weight/"
    """Start of the names of weights, ``weight/DECISION/ROW/OPTION``; only those of a row's first search are kept."""


LOGGED = frozenset(value for name, value in vars(Log).items() if name.isupper()) - {Log.WEIGHT}

SHARED = "shared"
"""The probed column of accuracies under shared weights; all but two columns are named after targets."""
SHARED_LOSS = "shared_loss"
"""The probed column of losses under shared weights; NaN if the method did not measure them."""

BLOCK = 1024
"""Searches that are evaluated on a grid at once."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What one finished search did, for :class:`Traces`."""

    world: int
    seconds: Values = ()
    """Charged seconds at each change of the proposal, ascending."""
    test: Mapping[str, Values] = field(default_factory=dict)
    """By target, test accuracy in percent after each change."""
    queries: Values | None = None
    """Queries made before each change; None if unknown."""
    end: float = np.nan
    """Charged seconds of the search."""
    spent_queries: float = np.nan
    log: Columns = field(default_factory=dict)
    probe: Columns = field(default_factory=dict)
    """Accuracies of probed architectures: ``shared`` and one column per target."""


class Search(NamedTuple):
    """One finished search: its proposal changes at some charged seconds, and each proposal has a test accuracy."""

    world: int
    seconds: np.ndarray
    test: dict[str, np.ndarray]
    """By target, in percent."""
    log: Columns
    probe: Columns


@dataclass(frozen=True)
class RowTraces:
    """The finished searches of one row on one benchmark; a flat column concatenates the values of all searches."""

    worlds: np.ndarray
    end: np.ndarray
    """Charged seconds of each search."""
    spent_queries: np.ndarray
    starts: np.ndarray
    """Index at which each search begins in the flat columns; one more element is the end of the last search."""
    seconds: np.ndarray
    """Flat: charged seconds at each change of the proposal, ascending within a search."""
    queries: np.ndarray
    """Flat: queries made before each change."""
    test: dict[str, np.ndarray]
    """By target, flat: test accuracy from each change on, in percent; NaN if there is no record."""
    logs: dict[int, Columns]
    """By position of the search; only of searches that logged something."""
    probes: dict[int, Columns]

    def __len__(self) -> int:
        return len(self.worlds)

    def where(self, chosen: np.ndarray) -> RowTraces:
        """Return the searches for which ``chosen`` is true."""
        counts = np.diff(self.starts)
        flat = np.repeat(chosen, counts)
        positions = {int(old): new for new, old in enumerate(np.flatnonzero(chosen))}
        return RowTraces(
            self.worlds[chosen],
            self.end[chosen],
            self.spent_queries[chosen],
            np.concatenate([[0], np.cumsum(counts[chosen])]),
            self.seconds[flat],
            self.queries[flat],
            {target: values[flat] for target, values in self.test.items()},
            {positions[old]: log for old, log in self.logs.items() if old in positions},
            {positions[old]: probe for old, probe in self.probes.items() if old in positions},
        )

    def proposing(self, target: str) -> RowTraces:
        """Return the searches that proposed something and whose proposals are judged on a target."""
        return self.where(np.diff(self.starts) > 0) if target in self.test else self.where(np.zeros(len(self), dtype=bool))

    def in_force(self, times: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Return, for each search, the flat position of its proposal at its limit; -1 if it had none by then.

        The last proposal of a search is in force at every limit after it, also after the end of the search.

        Args:
            times: flat: ``seconds`` or ``queries``.
            limits: a limit for each search; NaN is never reached.
        """
        reached = np.concatenate([[0], np.cumsum(times <= np.repeat(limits, np.diff(self.starts)))])
        counts = reached[self.starts[1:]] - reached[self.starts[:-1]]
        return np.where(counts > 0, self.starts[:-1] + counts - 1, -1)

    def at(self, target: str, times: np.ndarray, limits: Mapping[int, float]) -> pd.Series:
        """Return by world the test accuracy of the proposal in force at the limit of its world, if there is one.

        Args:
            times: flat: ``seconds`` or ``queries``.
            limits: by world.
        """
        if target not in self.test:
            return pd.Series(dtype=float)
        last = self.in_force(times, np.array([limits.get(int(world), np.nan) for world in self.worlds]))
        reached = last >= 0
        return pd.Series(self.test[target][last[reached]], self.worlds[reached], dtype=float).groupby(level=0).mean()

    def on_grid(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> Iterator[np.ndarray]:
        """Yield tables (searches, grid) of a flat column as step functions, a block of searches at a time.

        Values are NaN before a search's first proposal.
        """
        for first in range(0, len(self), BLOCK):
            starts = self.starts[first : first + BLOCK + 1]
            flat = slice(starts[0], starts[-1])
            count, width = len(starts) - 1, len(grid) + 1
            columns = np.searchsorted(grid, times[flat])  # the first point of the grid at which a proposal is in force
            cells = np.repeat(np.arange(count), np.diff(starts)) * width + columns
            proposals = np.bincount(cells, minlength=count * width).reshape(count, width)[:, :-1].cumsum(axis=1)
            late = np.flatnonzero(proposals[:, 0] == 0)  # without a proposal at the first point
            missing = proposals[late] == 0
            proposals += starts[:-1, None] - 1
            table = values[proposals] if len(values) else np.empty(proposals.shape)
            table[late] = np.where(missing, np.nan, table[late])
            yield table

    def mean_on_grid(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (ddof 1) over searches at each point of the grid."""
        number, mean, squares = 0, np.zeros(len(grid)), np.zeros(len(grid))
        for table in self.on_grid(times, values, grid):
            block, total = table.mean(axis=0), number + len(table)
            table -= block
            squares += np.einsum("ij,ij->j", table, table) + (block - mean) ** 2 * (number * len(table) / total)
            mean = block if not number else mean + (block - mean) * (len(table) / total)
            number = total
        return mean, np.sqrt(squares / (number - 1)) if number > 1 else np.full(len(grid), np.nan)

    def logging(self) -> Iterator[Search]:
        """Yield the searches that logged something."""
        yield from map(self._search, self.logs)

    def probing(self) -> Iterator[Search]:
        """Yield the searches that probed architectures."""
        yield from map(self._search, self.probes)

    def _search(self, position: int) -> Search:
        flat = slice(self.starts[position], self.starts[position + 1])
        test = {target: values[flat] for target, values in self.test.items()}
        log, probe = self.logs.get(position, {}), self.probes.get(position, {})
        return Search(int(self.worlds[position]), self.seconds[flat], test, log, probe)


class Traces:
    """The traces of all rows.

    Args:
        traces: by benchmark and row, its finished searches; read once.
    """

    def __init__(self, traces: Mapping[tuple[str, str], Iterable[Trace]] | None = None) -> None:
        self._packed: dict[tuple[str, str], Packed] = {}
        self._rows: dict[tuple[str, str], RowTraces] = {}
        for (benchmark, row), searches in (traces or {}).items():
            self.row(benchmark, row).add(list(searches))

    def row(self, benchmark: str, row: str) -> Packed:
        """Return the object that the searches of a row are added to."""
        self._rows.pop((benchmark, row), None)
        return self._packed.setdefault((benchmark, row), Packed())

    def of(self, benchmark: str, row: str) -> RowTraces:
        """Return the finished searches of one row, possibly none."""
        key = benchmark, row
        if key not in self._rows:
            self._rows[key] = self._packed.get(key, Packed()).finished()
        return self._rows[key]


class Packed:
    """The searches of one row as they arrive."""

    def __init__(self) -> None:
        self._worlds: list[int] = []
        self._end: list[float] = []
        self._spent_queries: list[float] = []
        self._counts: list[int] = []
        self._seconds, self._queries = _Flat(), _Flat()
        self._test: dict[str, _Flat] = {}
        self._logs: dict[int, Columns] = {}
        self._probes: dict[int, Columns] = {}

    def add(self, traces: Sequence[Trace]) -> None:
        """Add finished searches, any number at a time."""
        before, begin = len(self._worlds), self._seconds.length
        self._worlds.extend([trace.world for trace in traces])
        self._end.extend([trace.end for trace in traces])
        self._spent_queries.extend([trace.spent_queries for trace in traces])
        self._counts.extend([len(trace.seconds) for trace in traces])
        self._seconds.append([trace.seconds for trace in traces])
        self._queries.append([_known(trace.queries, len(trace.seconds)) for trace in traces])
        for target in dict.fromkeys(target for trace in traces for target in trace.test):
            column = self._test.setdefault(target, _Flat())
            column.pad(begin)  # earlier searches were not judged on the target
            column.append([_known(trace.test.get(target), len(trace.seconds)) for trace in traces])
        for position, trace in enumerate(traces, before):
            if trace.log:
                self._note(position, trace.log)
            if trace.probe:
                self._probes[position] = trace.probe

    def _note(self, position: int, log: Columns) -> None:
        """Keep the logged columns that reports read."""
        columns = {
            name: values for name, values in log.items() if name in LOGGED or (position == 0 and name.startswith(Log.WEIGHT))
        }
        if columns:
            self._logs[position] = columns

    def finished(self) -> RowTraces:
        """Return the searches so far."""
        for column in self._test.values():
            column.pad(self._seconds.length)
        return RowTraces(
            np.array(self._worlds, dtype=np.int64),
            np.array(self._end, dtype=float),
            np.array(self._spent_queries, dtype=float),
            np.concatenate([[0], np.cumsum(np.array(self._counts, dtype=np.int64))]),
            self._seconds.joined(),
            self._queries.joined(),
            {target: column.joined() for target, column in self._test.items()},
            self._logs,
            self._probes,
        )


def _known(values: Values | None, length: int) -> Values:
    return np.full(length, np.nan) if values is None else values


class _Flat:
    """A column that grows."""

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[np.ndarray] = []

    def append(self, arrays: Sequence[Values]) -> None:
        if arrays:
            self._pieces.append(np.concatenate(arrays))  # a copy: the arrays are views that keep more memory alive
            self.length += len(self._pieces[-1])

    def pad(self, length: int) -> None:
        """Fill with NaN up to a length."""
        if self.length < length:
            self.append([np.full(length - self.length, np.nan)])

    def joined(self) -> np.ndarray:
        self._pieces = [np.concatenate([np.empty(0), *self._pieces])]
        return self._pieces[0]
