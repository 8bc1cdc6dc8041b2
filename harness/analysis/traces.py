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
    SECONDS = "seconds"  # charged seconds at the end of the epoch
    ENTROPY = "entropy"
    SUPERNET_ACCURACY = "supernet_accuracy"
    FINAL_SUPERNET_ACCURACY = "final_supernet_accuracy"  # accuracy after the last epoch, percent
    TRAINED_EPOCHS = "trained_epochs"  # number of epochs; one that the budget cut short counts as its fraction
    CHANCE = "chance"  # accuracy of guessing, percent
    AT_CHANCE = "at_chance"  # a supernet of at most this accuracy, percent, has learned nothing
    MEASURED = "measured"  # number of cells that a round measured
    USABLE = "usable"  # number of these measurements that were used
    DISCRETISED_ACCURACY = "discretised_accuracy"
    SHARED_ACCURACY = "shared_accuracy"
    OWN_ACCURACY = "own_accuracy"
    FEATURES = "features"
    PROPOSED = "proposed"  # 1 if the epoch's architecture is the new proposal, 0 if that of an earlier epoch stays
    ALIVE = "alive"  # number of decisions that a search has not settled, or of feature maps that it has not dropped
    STRENGTH = "strength"  # of the penalty of a pruned network; the next four are logged with it
    INPUTS = "inputs"
    NEURONS = "neurons"
    SPARSITY = "sparsity"  # pruned weights, percent
    PRUNED_ACCURACY = "pruned_accuracy"  # on validation points, with the weights of the search, percent
    BEFORE_ABSORPTION = "accuracy_before_absorption"
    AFTER_ABSORPTION = "accuracy_after_absorption"
    WEIGHT = "weight/"  # start of ``weight/DECISION/ROW/OPTION``; only those of a row's first search are kept


LOGGED = frozenset(value for name, value in vars(Log).items() if name.isupper()) - {Log.WEIGHT}

SHARED = "shared"
"""The probed column of accuracies under shared weights; all but two columns are named after targets."""
SHARED_LOSS = "shared_loss"
"""The probed column of losses under shared weights; NaN if the method did not measure them."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What one finished search did, for :class:`Traces`."""

    world: int
    seconds: Values = ()  # charged seconds at each change of the proposal, ascending
    test: Mapping[str, Values] = field(default_factory=dict)  # by target, test accuracy in percent after each change
    queries: Values | None = None  # queries made before each change; None if unknown
    end: float = np.nan  # charged seconds of the search
    spent_queries: float = np.nan
    log: Columns = field(default_factory=dict)
    probe: Columns = field(default_factory=dict)  # accuracies of probed architectures: ``shared`` and one column per target


class Search(NamedTuple):
    """One finished search: its proposal changes at some charged seconds, and each proposal has a test accuracy."""

    world: int
    seconds: np.ndarray
    test: dict[str, np.ndarray]  # by target, in percent
    log: Columns
    probe: Columns


@dataclass(frozen=True)
class RowTraces:
    """The finished searches of one row on one benchmark; a flat column concatenates the values of all searches."""

    worlds: np.ndarray
    end: np.ndarray  # charged seconds of each search
    spent_queries: np.ndarray
    starts: np.ndarray  # index at which each search begins in the flat columns; one more element is the end of the last search
    seconds: np.ndarray  # flat: charged seconds at each change of the proposal, ascending within a search
    queries: np.ndarray  # flat: queries made before each change
    test: dict[str, np.ndarray]  # by target, flat: test accuracy from each change on, in percent; NaN if there is no record
    logs: dict[int, Columns]  # by position of the search; only of searches that logged something
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

    def spent(self, currency: str) -> tuple[np.ndarray, np.ndarray]:
        """Return in one currency the cost at each change of a proposal (flat) and the total cost of each search."""
        return (self.seconds, self.end) if currency == "seconds" else (self.queries, self.spent_queries)

    def at(self, target: str, times: np.ndarray, limits: Mapping[int, float]) -> pd.Series:
        """Return by world the test accuracy of the proposal in force at the limit of its world, if there is one.

        The last proposal of a search is in force at every limit after it, also after the end of the search.

        Args:
            times: flat: ``seconds`` or ``queries``.
            limits: by world; NaN is never reached.
        """
        if target not in self.test:
            return pd.Series(dtype=float)
        each = np.array([limits.get(int(world), np.nan) for world in self.worlds])
        before = np.concatenate([[0], np.cumsum(times <= np.repeat(each, np.diff(self.starts)))])
        counts = before[self.starts[1:]] - before[self.starts[:-1]]
        last = self.starts[:-1] + counts - 1
        reached = counts > 0
        return pd.Series(self.test[target][last[reached]], self.worlds[reached], dtype=float).groupby(level=0).mean()

    def at_each(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> Iterator[np.ndarray]:
        """Yield, for each point of an ascending grid, the value in force of every search; NaN before its first."""
        points = np.searchsorted(grid, times)  # the first point of the grid at which each value is in force
        order = np.argsort(points, kind="stable")
        search = np.repeat(np.arange(len(self)), np.diff(self.starts))[order]
        last, known = self.starts[:-1] - 1, np.append(values, np.nan)
        for changed in np.split(search, np.searchsorted(points[order], np.arange(len(grid)), side="right"))[:-1]:
            last = last + np.bincount(changed, minlength=len(self))
            yield known[np.where(last >= self.starts[:-1], last, -1)]

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
        self._searches = [pd.DataFrame(columns=["world", "end", "queries", "changes"], dtype=float)]
        self._flat = [pd.DataFrame(columns=["seconds", "queries"], dtype=float)]
        self._tests = [pd.DataFrame()]
        self._count = 0
        self._logs: dict[int, Columns] = {}
        self._probes: dict[int, Columns] = {}

    def add(self, traces: Sequence[Trace]) -> None:
        """Add finished searches, any number at a time."""
        ends = [(trace.world, trace.end, trace.spent_queries, len(trace.seconds)) for trace in traces]
        self._searches.append(pd.DataFrame(ends, columns=self._searches[0].columns, dtype=float))
        targets = dict.fromkeys(target for trace in traces for target in trace.test)
        changes = {"seconds": [trace.seconds for trace in traces]}
        changes["queries"] = [_known(trace, trace.queries) for trace in traces]
        tests = {target: [_known(trace, trace.test.get(target)) for trace in traces] for target in targets}
        for pieces, columns in ((self._flat, changes), (self._tests, tests)):  # copies: a view keeps more memory alive
            joined = {name: np.concatenate([[], *values]) for name, values in columns.items()}
            pieces.append(pd.DataFrame(joined, index=range(sum(search[-1] for search in ends))))
        for position, trace in enumerate(traces, self._count):
            wanted = {name for name in trace.log if name in LOGGED or (position == 0 and name.startswith(Log.WEIGHT))}
            if wanted:
                self._logs[position] = {name: values for name, values in trace.log.items() if name in wanted}
            if trace.probe:
                self._probes[position] = trace.probe
        self._count += len(traces)

    def finished(self) -> RowTraces:
        """Return the searches so far."""
        searches, flat = pd.concat(self._searches), pd.concat(self._flat)
        tests = pd.concat(self._tests)  # NaN for searches that were not judged on a target
        return RowTraces(
            searches["world"].to_numpy(dtype=np.int64),
            searches["end"].to_numpy(dtype=float),
            searches["queries"].to_numpy(dtype=float),
            np.concatenate([[0], np.cumsum(searches["changes"].to_numpy(dtype=np.int64))]),
            flat["seconds"].to_numpy(dtype=float),
            flat["queries"].to_numpy(dtype=float),
            {str(target): tests[target].to_numpy(dtype=float) for target in tests},
            self._logs,
            self._probes,
        )


def _known(trace: Trace, values: Values | None) -> Values:
    return np.full(len(trace.seconds), np.nan) if values is None else values
