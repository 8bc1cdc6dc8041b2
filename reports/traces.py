"""The traces of finished searches, packed row by row into flat columns, so that 100 000 of them take little memory and time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Log = Mapping[str, Any]
"""Columns of numbers by name."""

LOGGED = {"epoch", "seconds", "entropy", "supernet_accuracy", "discretised_accuracy"}
LOGGED |= {"shared_accuracy", "own_accuracy", "features"}
"""What tables and figures read of a log; of the first search of a row, also the weights that it ended with."""
WEIGHT = "weight/"
BLOCK = 4096
"""Searches that are evaluated on a grid at once."""


class Search(NamedTuple):
    """One finished search: its proposal changes at some charged seconds, and each is worth a test accuracy."""

    world: int
    seconds: np.ndarray
    test: dict[str, np.ndarray]
    """By target, in percent."""
    log: Log
    probe: Log


@dataclass(frozen=True)
class RowTraces:
    """The finished searches of one row on one benchmark; a flat column holds the values of one search after the other."""

    worlds: np.ndarray
    end: np.ndarray
    """Charged seconds of each search."""
    spent_queries: np.ndarray
    starts: np.ndarray
    """Where each search begins in the flat columns; one more element says where the last one ends."""
    seconds: np.ndarray
    """Flat: charged seconds at each change of the proposal, ascending within a search."""
    queries: np.ndarray
    """Flat: queries made before each change."""
    test: dict[str, np.ndarray]
    """By target, flat: test accuracy from each change on, in percent; NaN if there is no record."""
    logs: dict[int, Log]
    """By position of the search; only of searches that logged something."""
    probes: dict[int, Log]

    def __len__(self) -> int:
        return len(self.worlds)

    def where(self, chosen: np.ndarray) -> RowTraces:
        """Return the searches for which ``chosen`` is true."""
        counts = np.diff(self.starts)
        flat = np.repeat(chosen, counts)
        places = {int(old): new for new, old in enumerate(np.flatnonzero(chosen))}
        return RowTraces(
            self.worlds[chosen],
            self.end[chosen],
            self.spent_queries[chosen],
            np.concatenate([[0], np.cumsum(counts[chosen])]),
            self.seconds[flat],
            self.queries[flat],
            {target: values[flat] for target, values in self.test.items()},
            {places[at]: log for at, log in self.logs.items() if at in places},
            {places[at]: log for at, log in self.probes.items() if at in places},
        )

    def proposing(self, target: str) -> RowTraces:
        """Return the searches that proposed something and whose proposals are judged on a target."""
        return self.where(np.diff(self.starts) > 0) if target in self.test else self.where(np.zeros(len(self), dtype=bool))

    def in_force(self, times: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Return, for each search, the flat position of its proposal at its limit; -1 if it had none by then.

        Args:
            times: flat: ``seconds`` or ``queries``.
            limits: one per search.
        """
        reached = np.concatenate([[0], np.cumsum(times <= np.repeat(limits, np.diff(self.starts)))])
        counts = reached[self.starts[1:]] - reached[self.starts[:-1]]
        return np.where(counts > 0, self.starts[:-1] + counts - 1, -1)

    def on_grid(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> Iterator[np.ndarray]:
        """Yield tables (searches, grid) of a flat column as step functions, some searches at a time.

        A search has NaN before its first proposal.
        """
        for first in range(0, len(self), BLOCK):
            starts = self.starts[first : first + BLOCK + 1]
            flat = slice(starts[0], starts[-1])
            count = len(starts) - 1
            columns = np.searchsorted(grid, times[flat])  # the first point of the grid at which a proposal is in force
            cells = np.repeat(np.arange(count), np.diff(starts)) * (len(grid) + 1) + columns
            made = np.bincount(cells, minlength=count * (len(grid) + 1)).reshape(count, -1)[:, :-1].cumsum(axis=1)
            taken = values[np.maximum(starts[:-1, None] + made - 1, 0)] if len(values) else np.zeros(made.shape)
            yield np.where(made > 0, taken, np.nan)

    def mean_on_grid(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (ddof 1) over searches at each point of the grid."""
        number, mean, squares = 0, np.zeros(len(grid)), np.zeros(len(grid))
        for table in self.on_grid(times, values, grid):
            here, total = table.mean(axis=0), number + len(table)
            squares += ((table - here) ** 2).sum(axis=0) + (here - mean) ** 2 * (number * len(table) / total)
            mean = here if not number else mean + (here - mean) * (len(table) / total)
            number = total
        return mean, np.sqrt(squares / (number - 1)) if number > 1 else np.full(len(grid), np.nan)

    def logging(self) -> Iterator[Search]:
        """Yield the searches that logged something."""
        yield from map(self._search, self.logs)

    def probing(self) -> Iterator[Search]:
        """Yield the searches that probed architectures."""
        yield from map(self._search, self.probes)

    def _search(self, at: int) -> Search:
        flat = slice(self.starts[at], self.starts[at + 1])
        test = {target: values[flat] for target, values in self.test.items()}
        return Search(int(self.worlds[at]), self.seconds[flat], test, self.logs.get(at, {}), self.probes.get(at, {}))


class Traces:
    """The traces of all rows.

    Args:
        traces: one mapping per finished search, read once: row, benchmark, world, and what it has of seconds and queries at
            each change of its proposal, test ({target: percent after each change}), end (charged seconds in all),
            spent_queries, log and probe ({name: values}).
    """

    def __init__(self, traces: Iterable[Mapping[str, Any]] = ()) -> None:
        packed: dict[tuple[str, str], _Packed] = {}
        for trace in traces:
            packed.setdefault((trace["benchmark"], trace["row"]), _Packed()).add(trace)
        self._rows = {key: row.finished() for key, row in packed.items()}
        self._none = _Packed().finished()

    def of(self, benchmark: str, row: str) -> RowTraces:
        """Return the searches of one row; none if it has no finished search."""
        return self._rows.get((benchmark, row), self._none)


@dataclass
class _Packed:
    """Flat columns that grow."""

    worlds: array[int] = field(default_factory=lambda: array("q"))
    end: array[float] = field(default_factory=lambda: array("d"))
    spent_queries: array[float] = field(default_factory=lambda: array("d"))
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    queries: array[float] = field(default_factory=lambda: array("d"))
    test: dict[str, array[float]] = field(default_factory=dict)
    logs: dict[int, Log] = field(default_factory=dict)
    probes: dict[int, Log] = field(default_factory=dict)

    def add(self, trace: Mapping[str, Any]) -> None:
        at, begin = len(self.worlds), self.starts[-1]
        seconds = np.asarray(trace.get("seconds", ()), dtype=float)
        end = begin + len(seconds)
        self.worlds.append(trace["world"])
        self.end.append(trace.get("end", np.nan))
        self.spent_queries.append(trace.get("spent_queries", np.nan))
        self.starts.append(end)
        self.seconds.frombytes(seconds.tobytes())
        self.queries.frombytes(np.asarray(trace.get("queries", np.full(len(seconds), np.nan)), dtype=float).tobytes())
        for target, values in trace.get("test", {}).items():
            column = self.test.setdefault(target, array("d"))
            column.extend([np.nan] * (begin - len(column)))  # of searches that were not judged on the target
            column.frombytes(np.asarray(values, dtype=float).tobytes())
        log = {k: values for k, values in trace.get("log", {}).items() if k in LOGGED or (at == 0 and k.startswith(WEIGHT))}
        if log:
            self.logs[at] = log
        if trace.get("probe"):
            self.probes[at] = trace["probe"]

    def finished(self) -> RowTraces:
        total = self.starts[-1]
        for column in self.test.values():
            column.extend([np.nan] * (total - len(column)))
        flat = [np.array(column, dtype=float) for column in (self.end, self.spent_queries, self.seconds, self.queries)]
        end, spent_queries, seconds, queries = flat
        test = {target: np.array(column, dtype=float) for target, column in self.test.items()}
        worlds, starts = np.array(self.worlds, dtype=np.int64), np.array(self.starts, dtype=np.int64)
        return RowTraces(worlds, end, spent_queries, starts, seconds, queries, test, self.logs, self.probes)
