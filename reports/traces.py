"""The traces of finished searches, packed row by row into flat columns, so that 100 000 of them take little memory and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Log = Mapping[str, Any]
"""Columns of numbers by name."""

LOGGED = {"epoch", "seconds", "entropy", "supernet_accuracy", "discretised_accuracy"}
LOGGED |= {"shared_accuracy", "own_accuracy", "features"}
"""What tables and figures read of a log; of the first search of a row, also the weights that it ended with."""
WEIGHT = "weight/"
BLOCK = 1024
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
            count, width = len(starts) - 1, len(grid) + 1
            columns = np.searchsorted(grid, times[flat])  # the first point of the grid at which a proposal is in force
            cells = np.repeat(np.arange(count), np.diff(starts)) * width + columns
            made = np.bincount(cells, minlength=count * width).reshape(count, width)[:, :-1].cumsum(axis=1)
            late = np.flatnonzero(made[:, 0] == 0)  # without a proposal at first
            missing = made[late] == 0
            made += starts[:-1, None] - 1
            table = values[made] if len(values) else np.empty(made.shape)
            table[late] = np.where(missing, np.nan, table[late])
            yield table

    def mean_on_grid(self, times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (ddof 1) over searches at each point of the grid."""
        number, mean, squares = 0, np.zeros(len(grid)), np.zeros(len(grid))
        for table in self.on_grid(times, values, grid):
            here, total = table.mean(axis=0), number + len(table)
            table -= here
            squares += np.einsum("ij,ij->j", table, table) + (here - mean) ** 2 * (number * len(table) / total)
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
        traces: one mapping per finished search, read once: row, benchmark, world, and what there is of seconds and queries (at
            each change of its proposal, ascending), test ({target: percent after each change}), end (charged seconds in
            all), spent_queries, log and probe ({name: values}).
    """

    def __init__(self, traces: Iterable[Mapping[str, Any]] = ()) -> None:
        self._packed: dict[tuple[str, str], Packed] = {}
        self._rows: dict[tuple[str, str], RowTraces] = {}
        for trace in traces:
            seconds = trace.get("seconds", ())
            columns = {"proposal_seconds": seconds, "proposal_queries": trace.get("queries", np.full(len(seconds), np.nan))}
            columns |= {f"{target}/test": values for target, values in trace.get("test", {}).items()}
            columns |= {f"{kind}/{name}": col for kind in ("log", "probe") for name, col in trace.get(kind, {}).items()}
            spent = {"seconds": trace.get("end", np.nan), "queries": trace.get("spent_queries", np.nan)}
            self.row(trace["benchmark"], trace["row"]).add([trace["world"]], [spent], [columns], list(trace.get("test", {})))

    def row(self, benchmark: str, row: str) -> Packed:
        """Return where the searches of a row are added."""
        self._rows.pop((benchmark, row), None)
        return self._packed.setdefault((benchmark, row), Packed())

    def of(self, benchmark: str, row: str) -> RowTraces:
        """Return the searches of one row; none if it has no finished search."""
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
        self._logs: dict[int, Log] = {}
        self._probes: dict[int, Log] = {}

    def add(
        self,
        worlds: Iterable[int],
        spent: Sequence[Mapping[str, float]],
        columns: Sequence[Mapping[str, Any]],
        targets: Sequence[str],
    ) -> None:
        """Add finished searches, some at a time.

        Args:
            worlds: the number of each search's world.
            spent: of each search, ``seconds`` and ``queries`` charged in all.
            columns: of each search, the columns of its trace: ``proposal_seconds``, ``proposal_queries``, ``TARGET/test``,
                ``log/NAME`` and ``probe/NAME``.
            targets: what proposals are judged on.
        """
        at, begin = len(self._worlds), self._seconds.length
        self._worlds.extend(worlds)
        self._end.extend([one["seconds"] for one in spent])
        self._spent_queries.extend([one["queries"] for one in spent])
        seconds = [one["proposal_seconds"] for one in columns]
        self._counts.extend(map(len, seconds))
        self._seconds.append(seconds)
        self._queries.append([one["proposal_queries"] for one in columns])
        for target in targets:
            name = f"{target}/test"
            column = self._test.setdefault(target, _Flat())
            column.pad(begin)  # searches before that were not judged on the target
            column.append([one[name] if name in one else np.full(len(one["proposal_seconds"]), np.nan) for one in columns])
        for place, one in enumerate(columns, at):
            if len(one) > 2 + len(targets):
                self._note(place, one)

    def _note(self, at: int, columns: Mapping[str, Any]) -> None:
        """Keep what a search logged and probed, as far as anything is made of it."""
        log = {name[4:]: values for name, values in columns.items() if name.startswith("log/")}
        log = {name: values for name, values in log.items() if name in LOGGED or (at == 0 and name.startswith(WEIGHT))}
        probe = {name[6:]: values for name, values in columns.items() if name.startswith("probe/")}
        if log:
            self._logs[at] = log
        if probe:
            self._probes[at] = probe

    def finished(self) -> RowTraces:
        """Return the searches so far."""
        for column in self._test.values():
            column.pad(self._seconds.length)
        return RowTraces(
            np.array(self._worlds, dtype=np.int64),
            np.array(self._end, dtype=float),
            np.array(self._spent_queries, dtype=float),
            np.concatenate([[0], np.cumsum(np.array(self._counts, dtype=np.int64))]),
            self._seconds.whole(),
            self._queries.whole(),
            {target: column.whole() for target, column in self._test.items()},
            self._logs,
            self._probes,
        )


class _Flat:
    """A column that grows."""

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[np.ndarray] = []

    def append(self, arrays: Sequence[Any]) -> None:
        if arrays:
            self._pieces.append(np.concatenate(arrays))  # copied, so that what they are views of can be freed
            self.length += len(self._pieces[-1])

    def pad(self, length: int) -> None:
        """Fill with NaN up to a length."""
        if self.length < length:
            self.append([np.full(length - self.length, np.nan)])

    def whole(self) -> np.ndarray:
        self._pieces = [np.concatenate([np.empty(0), *self._pieces])]
        return self._pieces[0]
