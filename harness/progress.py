"""Live progress: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from harness.engine import UnderWay
from harness.outcome import TOO_SMALL, Result
from harness.pace import Work, clock, seconds_left
from harness.plan import PlannedRow
from harness.store import Store

if TYPE_CHECKING:
    from rich.table import Table

LINES_EVERY_S = 5.0
FRAME = 2
"""Number of free lines on a terminal: the cursor's line, and one for a message."""


@dataclass
class RowState:
    """Progress of one row."""

    name: str
    total: int
    kind: str = ""
    done: int = 0
    failed: int = 0
    began: float | None = None
    touched: float = 0.0
    """Time of the last change of this row."""
    judged: int = 0
    """Runs that have a test accuracy, or the perplexity of a text, with their sum and their sum of squares."""
    sum: float = 0.0
    squares: float = 0.0
    target: str = ""
    timed: int = 0
    """Runs whose real time is known, with the sum."""
    seconds: float = 0.0
    running: int = 0
    under_way: float = 0.0
    """Work done in running runs, in units of one run, if their methods report it."""

    def count_in(self, status: str, scores: Mapping[str, Mapping[str, float]], seconds: float) -> None:
        """Count a finished run of any command."""
        self.done += 1
        self.failed += status not in ("done", TOO_SMALL)
        if status != "done":
            return
        self.timed += 1
        self.seconds += seconds
        for target, metrics in list(scores.items())[:1]:
            text = "perplexity" in metrics
            self.target = f"{target} perplexity" if text else target
            test = metrics.get("perplexity" if text else "test", math.nan)
            if test == test:
                self.judged += 1
                self.sum += test
                self.squares += test**2

    def add(self, result: Result) -> None:
        """Count a run that this command finished."""
        self.count_in(result.status, result.scores, result.wall_seconds)
        self.under_way = max(self.under_way - 1.0, 0.0)  # an estimate until the next tick

    def left(self) -> float:
        """Return the runs that are not done; a running one counts by its remaining share."""
        return self.total - self.done - self.under_way

    def work(self, now: float) -> Work:
        """Return the remaining work of the row, and its cost: of finished runs, else of running ones so far."""
        if self.timed or self.began is None:
            return Work(self.kind, self.left(), self.timed, self.seconds)
        return Work(self.kind, self.left(), self.under_way, (now - self.began) * max(self.running, 1))

    def standing(self) -> str:
        """Return the test accuracy or perplexity of the proposals so far."""
        if not self.judged:
            return ""
        mean = self.sum / self.judged
        std = max(self.squares / self.judged - mean**2, 0.0) ** 0.5
        return f"{self.target} {mean:.2f} ± {std:.2f}"

    def count(self) -> str:
        """Return the runs done; a running one counts by its share."""
        return f"{self.done + self.under_way:.2f}" if self.under_way else f"{self.done}"

    def failures(self) -> str:
        return f"{self.failed} failed (--failed shows why)" if self.failed else ""


class Progress(Protocol):
    """Display of the driver's reports."""

    def __enter__(self) -> Progress: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None: ...
    def started(self, identity: str) -> None: ...
    def finished(self, identity: str, result: Result) -> None: ...
    def elsewhere(self, identity: str) -> None: ...
    def tick(self, under_way: UnderWay) -> None: ...
    def say(self, message: str) -> None: ...


def progress(rows: Sequence[PlannedRow], store: Store, workers: int) -> Progress:
    """Return the display that suits standard error. Runs that were done before count from the start."""
    many = len({row.spec.benchmark for row in rows}) > 1
    states = {}
    for row in rows:
        name = f"{row.spec.benchmark}  {row.spec.row}" if many else row.spec.row
        states[row.spec.identity] = state = RowState(name, len(row.runs), row.spec.kind)
        for run_id, status, scores, seconds in store.outcomes(row.spec.identity) if row.done else ():
            if run_id in row.done:
                state.count_in(status, scores, seconds)
    return Bars(states, workers) if sys.stderr.isatty() else Lines(states, workers)


class _Display:
    """The states of all rows, and how they change."""

    def __init__(self, states: dict[str, RowState], workers: int = 1) -> None:
        self.states, self.workers = states, workers

    def started(self, identity: str) -> None:
        state = self.states[identity]
        state.touched = time.monotonic()
        state.began = state.began or state.touched

    def finished(self, identity: str, result: Result) -> None:
        self.states[identity].add(result)
        self.states[identity].touched = time.monotonic()

    def elsewhere(self, identity: str) -> None:
        """Note that another process has finished a run of the row."""
        self.states[identity].done += 1

    def tick(self, under_way: UnderWay) -> None:
        for state in self.states.values():
            state.under_way, state.running = 0.0, 0
        now = time.monotonic()
        for identity, share in under_way:
            state = self.states[identity]
            state.under_way += share
            state.running += 1
            state.touched = now

    def counts(self) -> tuple[float, int]:
        """Return the runs done, those under way counted by their share, and all runs, of all rows."""
        states = self.states.values()
        return sum(state.done + state.under_way for state in states), sum(state.total for state in states)

    def eta(self) -> str:
        """Return the time until everything is done, as m:ss; empty while too little is known."""
        now = time.monotonic()
        seconds = seconds_left([state.work(now) for state in self.states.values()], self.workers)
        return f"eta {clock(seconds)}" if seconds else ""


class Lines(_Display):
    """A line when a row is complete, and every few seconds in between."""

    def __init__(self, states: dict[str, RowState], workers: int = 1) -> None:
        super().__init__(states, workers)
        self._last = time.monotonic()
        self._current: str | None = None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def finished(self, identity: str, result: Result) -> None:
        super().finished(identity, result)
        self._current = identity
        state = self.states[identity]
        if state.done == state.total or time.monotonic() - self._last > LINES_EVERY_S:
            self._print(state)

    def tick(self, under_way: UnderWay) -> None:
        super().tick(under_way)
        self._current = max(under_way, key=lambda run: run[1], default=(self._current, 0.0))[0]
        if self._current and time.monotonic() - self._last > LINES_EVERY_S:
            self._print(self.states[self._current])

    def say(self, message: str) -> None:
        with contextlib.suppress(OSError):  # a reader that went away stops no run
            print(message, file=sys.stderr, flush=True)

    def _print(self, state: RowState) -> None:
        self._last = time.monotonic()
        done, total = self.counts()
        total_text = ", ".join(filter(None, (f"{done:.0f}/{total} of all", self.eta())))
        of_all = f"({total_text})" if len(self.states) > 1 else self.eta()
        parts = (state.standing(), state.failures(), of_all)
        self.say(f"{state.name}  {state.count()}/{state.total}  {'  '.join(filter(None, parts))}")


class Bars(_Display):
    """A bar for all runs and one per row; on a terminal with fewer lines, for the rows where something happens."""

    def __init__(self, states: dict[str, RowState], workers: int = 1) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(states, workers)
        self._console = Console(stderr=True)
        self._stopped = False
        self._live = Live(get_renderable=self.table, console=self._console, refresh_per_second=5)

    def __enter__(self) -> Bars:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._live.stop()

    def say(self, message: str) -> None:
        self._console.print(message, markup=False, highlight=False)

    def shown(self) -> list[RowState]:
        """Return the rows to show, in the plan's order: all if they fit, else those under way and those touched last."""
        states = list(self.states.values())
        room = max(self._console.height - FRAME - (len(states) > 1), 1)
        if len(states) <= room or self._stopped:
            return states
        busy = sorted(states, key=lambda state: (not state.running, -state.touched))[:room]
        return [state for state in states if any(state is chosen for chosen in busy)]

    def table(self) -> Table:
        """Draw the present state."""
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for _ in range(6):
            table.add_column(no_wrap=True)
        several = len(self.states) > 1
        if several:
            done, total = self.counts()
            table.add_row(*_line("all", done, total, f"{done:.0f}", [self.eta(), "", ""]))
        for state in self.shown():
            more = ["" if several else self.eta(), state.standing(), state.failures()]
            table.add_row(*_line(state.name, state.done + state.under_way, state.total, state.count(), more))
        return table


def _line(name: str, completed: float, total: int, count: str, more: Iterable[str]) -> list[Any]:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    eta, standing, failures = map(Text, more)
    failures.stylize("red")
    return [Text(name), ProgressBar(total, completed, width=20), Text(f"{count}/{total}"), eta, standing, failures]
