"""Live progress: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from harness.engine import UnderWay
from harness.outcome import Result
from harness.plan import PlannedRow

LINES_EVERY_S = 5.0


@dataclass
class RowState:
    """Where one row stands."""

    name: str
    total: int
    done: int
    failed: int = 0
    began: float | None = None
    fresh: int = 0
    """Runs finished by this command."""
    sums: dict[str, float] = field(default_factory=dict)
    target: str = ""
    under_way: float = 0.0
    """Runs' worth of work in the runs under way, as far as their methods tell."""

    def add(self, result: Result) -> None:
        self.done += 1
        self.fresh += 1
        self.under_way = max(self.under_way - 1.0, 0.0)  # it is under way no more; the next tick tells exactly
        self.failed += result.status != "done"
        if result.status == "done" and result.scores:
            self.target, scores = next(iter(result.scores.items()))
            if scores["test"] == scores["test"]:
                for name, value in (("n", 1.0), ("x", scores["test"]), ("xx", scores["test"] ** 2)):
                    self.sums[name] = self.sums.get(name, 0.0) + value

    def eta(self, now: float) -> str:
        """Time left at the pace so far, as m:ss."""
        if self.began is None or not self.fresh + self.under_way or self.done >= self.total:
            return ""
        seconds = (now - self.began) / (self.fresh + self.under_way) * (self.total - self.done - self.under_way)
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"eta {hours}:{minutes:02}:{rest:02}" if hours else f"eta {minutes}:{rest:02}"

    def standing(self) -> str:
        """Test accuracy of the proposals so far; nothing where some of them were made before."""
        n = self.sums.get("n", 0.0)
        if not n or n + self.failed < self.done:
            return ""
        mean = self.sums["x"] / n
        std = max(self.sums["xx"] / n - mean**2, 0.0) ** 0.5
        return f"{self.target} {mean:.2f} ± {std:.2f}"

    def count(self) -> str:
        """Runs done, those under way counted by their share."""
        return f"{self.done + self.under_way:.2f}" if self.under_way else f"{self.done}"

    def failures(self) -> str:
        return f"{self.failed} failed (--failed shows why)" if self.failed else ""


class Progress(Protocol):
    """What the driver reports to."""

    def __enter__(self) -> Progress: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None: ...
    def started(self, identity: str) -> None: ...
    def finished(self, identity: str, result: Result) -> None: ...
    def tick(self, under_way: UnderWay) -> None: ...


def _whole(states: dict[str, RowState]) -> tuple[float, int]:
    """Runs done, those under way counted by their share, and all runs, of all rows."""
    return sum(one.done + one.under_way for one in states.values()), sum(one.total for one in states.values())


def _note(states: dict[str, RowState], under_way: UnderWay) -> None:
    for state in states.values():
        state.under_way = 0.0
    for identity, share in under_way:
        states[identity].under_way += share


def progress(rows: Sequence[PlannedRow]) -> Progress:
    """The display that suits standard error."""
    many = len({row.spec.benchmark for row in rows}) > 1
    states = {
        row.spec.identity: RowState(
            f"{row.spec.benchmark}  {row.spec.row}" if many else row.spec.row, len(row.runs), len(row.done)
        )
        for row in rows
    }
    return Bars(states) if sys.stderr.isatty() else Lines(states)


class Lines:
    """A line when a row is complete, and every few seconds in between."""

    def __init__(self, states: dict[str, RowState]) -> None:
        self.states = states
        self._last = time.monotonic()
        self._current: str | None = None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def started(self, identity: str) -> None:
        self.states[identity].began = self.states[identity].began or time.monotonic()

    def finished(self, identity: str, result: Result) -> None:
        state = self.states[identity]
        state.add(result)
        self._current = identity
        if state.done == state.total or time.monotonic() - self._last > LINES_EVERY_S:
            self._print(state)

    def tick(self, under_way: UnderWay) -> None:
        _note(self.states, under_way)
        self._current = max(under_way, key=lambda one: one[1], default=(self._current, 0.0))[0]
        if self._current and time.monotonic() - self._last > LINES_EVERY_S:
            self._print(self.states[self._current])

    def _print(self, state: RowState) -> None:
        self._last = time.monotonic()
        done, total = _whole(self.states)
        whole = f"({done:.0f}/{total} of all)" if len(self.states) > 1 else ""
        extra = "  ".join(text for text in (state.standing(), state.eta(self._last), state.failures(), whole) if text)
        print(f"{state.name}  {state.count()}/{state.total}  {extra}", file=sys.stderr, flush=True)


class Bars:
    """One bar per row."""

    def __init__(self, states: dict[str, RowState]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.states = states
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}/{task.total}"),
            TextColumn("{task.fields[eta]}"),
            TextColumn("{task.fields[standing]}"),
            TextColumn("[red]{task.fields[failures]}"),
            console=Console(stderr=True),
            refresh_per_second=5,
        )
        done, total = _whole(states)
        self._all = self._bars.add_task(
            "all",
            total=total,
            completed=int(done),
            count=f"{done:.0f}",
            eta="",
            standing="",
            failures="",
            visible=len(states) > 1,
        )
        self._ids: dict[str, Any] = {
            identity: self._bars.add_task(
                state.name, total=state.total, completed=state.done, count=state.count(), eta="", standing="", failures=""
            )
            for identity, state in states.items()
        }

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, identity: str) -> None:
        self.states[identity].began = self.states[identity].began or time.monotonic()

    def finished(self, identity: str, result: Result) -> None:
        self.states[identity].add(result)
        self._show(identity)

    def tick(self, under_way: UnderWay) -> None:
        _note(self.states, under_way)
        for identity in {identity for identity, _ in under_way}:
            self._show(identity)

    def _show(self, identity: str) -> None:
        state = self.states[identity]
        self._bars.update(
            self._ids[identity],
            completed=state.done + state.under_way,
            count=state.count(),
            eta=state.eta(time.monotonic()),
            standing=state.standing(),
            failures=state.failures(),
        )
        done, _ = _whole(self.states)
        self._bars.update(self._all, completed=done, count=f"{done:.0f}")
