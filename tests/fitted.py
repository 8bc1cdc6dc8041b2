"""Searches of every weight-sharing row in three spaces under a budget that they fit, and what was seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from benchmarks.darts import task as darts
from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.supernet import SearchMacro
from harness.budget import BudgetExhausted, BudgetTooSmall, Ledger, rounded_up
from harness.schedule import Schedule
from harness.view import SearchView
from methods.one_shot.parts.search import Search
from tests import made_darts, made_nb1shot1_search, made_search

SPACES: dict[str, ModuleType] = {"nb201": made_search, "nb1shot1": made_nb1shot1_search, "darts": made_darts}
CURRENCY = {"nb201": "seconds", "nb1shot1": "seconds", "darts": "macs"}
"""The currency of each space in which all its methods are charged."""


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the searches of all three spaces train on few images and narrow networks."""
    made_search.shrink(monkeypatch)
    monkeypatch.setitem(nb1shot1.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))
    monkeypatch.setitem(darts.MACROS, "digits", made_darts.MACRO)


def rows() -> list[tuple[str, str]]:
    """Return every space with every row that trains there."""
    names = {"nb201": made_search.rows(), "nb1shot1": list(made_nb1shot1_search.ROWS), "darts": made_darts.rows()}
    return [(space, row) for space in SPACES for row in names[space] if not row.startswith("random_cell")]


@dataclass
class Seen:
    """What was seen of a search."""

    view: Any
    currency: str
    starts: list[float] = field(default_factory=list)
    """Amount spent at the start of each epoch, and at the end of the last."""
    rates: list[float] = field(default_factory=list)
    """Learning rate of each step."""
    positions: list[float] = field(default_factory=list)
    """Position of each step in the schedule."""
    proposed: list[float] = field(default_factory=list)
    """Amount spent at each proposal."""
    cut: bool = False
    """The ledger ended the search."""
    search: Any = None

    @property
    def spent(self) -> float:
        return float(self.view.ledger.spent(self.currency))

    @property
    def epochs(self) -> int:
        return len(self.starts) - 1

    @property
    def longest(self) -> float:
        """Return the largest price of an epoch."""
        return max(later - earlier for earlier, later in zip(self.starts, self.starts[1:], strict=False))

    @property
    def reserve(self) -> float:
        """Return what the schedule kept for the selection."""
        return float(self.search.schedule.reserve)

    @property
    def selection(self) -> float:
        """Return what was spent after the last epoch."""
        return self.spent - self.starts[-1]

    @property
    def result(self) -> dict[str, Any]:
        """Return what two equal searches have in common."""
        trace = self.view.trace
        return {
            "proposals": trace.proposals,
            "scalars": repr(trace.scalars),
            "probes": repr(trace.probes),
            "ledger": self.view.ledger.snapshot(),
        }


def run(space: str, row: str, limit: float | None = None, policy: str = "fit", seed: int = 0, **more: Any) -> Seen:
    """Search under a limit, or by the method's own schedule, and watch.

    Raises:
        BudgetExhausted: the budget ended the search before its first proposal, with the amount of its next pass.
        BudgetTooSmall: the search says what it needs.
    """
    currency = CURRENCY[space]
    ledger = Ledger() if limit is None else Ledger(currency, limit, policy)
    changes = more.pop("changes", {})
    seen = Seen(SPACES[space].view(ledger=ledger, seed=seed, **more), currency)
    with pytest.MonkeyPatch.context() as patch:
        _watch(patch, seen)
        try:
            returned = SPACES[space].method(row, **changes).search(seen.view)
            if returned is not None:
                seen.view.propose(returned)
        except BudgetTooSmall:
            raise
        except BudgetExhausted:
            seen.cut = True
            if not seen.view.trace.proposals:
                raise BudgetExhausted(rounded_up(ledger.wanted)) from None
    if len(seen.starts) < 2 or seen.cut:
        seen.starts.append(seen.spent)
    return seen


def _watch(patch: pytest.MonkeyPatch, seen: Seen) -> None:
    epochs, steps, propose = Schedule.epochs, Search.steps, SearchView.propose

    def watched_epochs(self: Schedule, first: int = 0) -> Iterator[int]:
        for number in epochs(self, first):
            seen.starts.append(seen.spent)
            yield number
        seen.starts.append(seen.spent)

    def watched_steps(self: Search, batches: Any) -> Iterator[Any]:
        seen.search = self
        for batch in steps(self, batches):
            seen.rates.append(self.lr)
            seen.positions.append(self.position)
            yield batch

    def watched_propose(self: SearchView, arch: Any) -> None:
        seen.proposed.append(seen.spent)
        propose(self, arch)

    patch.setattr(SearchView, "propose", watched_propose)
    patch.setattr(Schedule, "epochs", watched_epochs)
    patch.setattr(Search, "steps", watched_steps)


def early(space: str, row: str) -> bool:
    """Return whether a search may end before the limit, by its own rule."""
    return row == "ista_nas:one_stage" and not SPACES[space].method(row).continued


def enough(space: str, row: str) -> float:
    """Return an amount that pays for the method's own schedule and the selection that follows it."""
    seen = own(space, row)
    return seen.starts[-1] + 1.2 * seen.selection


@cache
def own(space: str, row: str) -> Seen:
    """Return the search by the method's own schedule."""
    return run(space, row)
