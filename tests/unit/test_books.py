"""What a search booked is held against what the harness noted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.books import Booked, mismatch
from harness.budget import BudgetExhausted, Ledger, Spending
from harness.outcome import Proposal
from harness.testing.toy import ToyOracle, ToySpace
from tests.recorded import RecordedView

RULE = {"currency": "seconds", "limit": 1000.0, "policy": "refuse"}


def searched(world: int = 7, limit: float = 1000.0, trained: bool = False) -> Booked:
    """An honest search that ends with its budget."""

    def task(charge: Callable[..., None]) -> Callable[..., None]:
        return charge

    ledger = Ledger("seconds", limit, "refuse")
    view = RecordedView(ToySpace(), ledger, ToyOracle(world), 0, task=task)
    try:
        while True:
            view.query(view.space.sample(view.rng), view.rng.choice([None, 1, 12]))
            if trained:
                view.task(seconds=0.1, epochs=0.25, images=64)
    except BudgetExhausted:
        pass
    spent = {name: ledger.spent(name) for name in ("queries", "seconds", "epochs", "macs", *ledger.extra)}
    return Booked(view.trace, spent, view.books.queries, view.books.trained)


@given(st.integers(0, 2**40), st.floats(20.0, 5000.0), st.booleans())
def test_an_honest_search_agrees(world: int, limit: float, trained: bool) -> None:
    assert mismatch(searched(world, limit, trained), ToyOracle(world), {**RULE, "limit": limit}) == ""


def test_another_world_does_not_agree() -> None:
    assert "returned" in mismatch(searched(7), ToyOracle(8), RULE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda booked: booked.trace.accuracy.__setitem__(0, 99.99), "query 1 returned"),
        (lambda booked: booked.trace.accuracy.__setitem__(0, math.nan), "query 1 returned"),
        (lambda booked: booked.trace.seconds.__setitem__(3, 0.0), "query 4 ended at"),
        (lambda booked: booked.spent.__setitem__("seconds", 1.0), "the ledger says 1"),
        (lambda booked: booked.spent.__setitem__("queries", 1), "the ledger says 1"),
        (lambda booked: booked.spent.__setitem__("macs", math.nan), "macs were charged"),
        (lambda booked: booked.queries.append(booked.queries[0]), "the oracle was queried"),
        (lambda booked: booked.queries.extend(booked.queries[:3]), "the oracle was queried"),
        (lambda booked: booked.queries.__setitem__(0, ((3, 2, 1, 3), 6)), "query 1"),
        (lambda booked: booked.trace.proposals.append(Proposal(1, 0.0, (0, 0, 0, 0))), "not in order of time"),
        (lambda booked: booked.trace.proposals.append(Proposal(999, 999.0, (0, 0, 0, 0))), "after 999 queries"),
    ],
)
def test_what_was_tampered_with_is_named(change: Callable[[Booked], None], reason: str) -> None:
    booked = searched()
    change(booked)
    assert reason in mismatch(booked, ToyOracle(7), RULE)


def test_charges_of_training_are_held_against_the_ledger() -> None:
    booked = searched(trained=True)
    assert booked.trained["images"] == booked.spent["images"] > 0
    tampered = dataclasses.replace(booked, spent={**booked.spent, "images": booked.spent["images"] - 64})
    assert "images were charged" in mismatch(tampered, ToyOracle(7), RULE)


def test_more_than_the_limit_is_named() -> None:
    booked = searched(limit=2000.0)
    assert "the limit is 1000" in mismatch(booked, ToyOracle(7), RULE)


def test_a_search_without_queries_and_without_an_oracle_agrees() -> None:
    empty = dataclasses.replace(searched(limit=1.0), queries=[])
    assert mismatch(empty, None, RULE) == ""


def test_a_method_reads_its_ledger_and_charges_nothing() -> None:
    ledger = Ledger("seconds", 10.0)
    ledger.charge(queries=1, seconds=4.0, epochs=0.5, macs=7.0, solver_calls=2)
    spending = Spending(ledger)
    assert (spending.queries, spending.seconds, spending.epochs, spending.macs) == (1, 4.0, 0.5, 7.0)
    assert (spending.currency, spending.limit, spending.left, spending.exhausted) == ("seconds", 10.0, 6.0, False)
    assert spending.extra == {"solver_calls": 2} and spending.spent("solver_calls") == 2
    assert not hasattr(spending, "charge") and not hasattr(spending, "restore")
    with pytest.raises(AttributeError):
        spending.seconds = 0.0


@pytest.mark.parametrize("currency", ["queries", "seconds", "epochs", "macs", "solver_calls"])
@pytest.mark.parametrize("amount", [-1, -1e-9, math.nan, math.inf, -math.inf])
def test_impossible_costs_are_refused_in_every_currency(currency: str, amount: float) -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="impossible cost"):
        ledger.charge(**{currency: amount})  # type: ignore[arg-type]
    assert ledger.snapshot() == Ledger().snapshot()
