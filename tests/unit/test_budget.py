from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.budget import CURRENCIES, BudgetExhausted, Ledger

costs = st.lists(st.floats(0.01, 50), min_size=1, max_size=60)


def spend(ledger: Ledger, amounts: list[float], currency: str) -> list[float]:
    """Charge amounts until the budget ends the search. Return those that were booked."""
    booked: list[float] = []
    for amount in amounts:
        try:
            ledger.charge(queries=0, **{currency: amount})
        except BudgetExhausted:
            break
        booked.append(amount)
    return booked


@given(costs, st.sampled_from(["seconds", "epochs", "macs", "solver_calls"]))
def test_refuse_never_crosses_and_stops_only_where_it_would(amounts: list[float], currency: str) -> None:
    ledger = Ledger(currency, 100.0, "refuse")
    booked = spend(ledger, amounts, currency)
    assert ledger.spent(currency) == pytest.approx(sum(booked))
    assert sum(booked) <= 100.0 + 1e-9
    if len(booked) < len(amounts):
        assert sum(booked) + amounts[len(booked)] > 100.0


@given(costs, st.sampled_from(["seconds", "epochs", "macs", "solver_calls"]))
def test_allow_last_makes_exactly_one_charge_that_crosses(amounts: list[float], currency: str) -> None:
    booked = spend(Ledger(currency, 100.0, "allow_last"), amounts, currency)
    if len(booked) < len(amounts):
        assert sum(booked) >= 100.0 > sum(booked[:-1])


@pytest.mark.parametrize("policy", ["refuse", "allow_last"])
def test_a_budget_of_queries_allows_exactly_that_many(policy: str) -> None:
    ledger = Ledger("queries", 7, policy)
    with pytest.raises(BudgetExhausted):
        for _ in range(10):
            ledger.charge(queries=1, seconds=3.0)
    assert ledger.queries == 7


def test_exhaustion_is_final_and_no_ordinary_exception() -> None:
    ledger = Ledger("seconds", 10.0)
    ledger.charge(seconds=9.0)
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            ledger.charge(seconds=0.5 if ledger.exhausted else 2.0)
    assert ledger.seconds == 9.0
    assert not issubclass(BudgetExhausted, Exception)


def test_without_a_limit_everything_is_booked() -> None:
    ledger = Ledger()
    for _ in range(5):
        ledger.charge(queries=1, seconds=2.0, epochs=3.0, macs=4.0, features=5.0)
    assert [ledger.spent(name) for name in (*CURRENCIES, "features")] == [5, 10, 15, 20, 25]
    assert ledger.left == math.inf


@pytest.mark.parametrize("cost", [{"seconds": -1.0}, {"seconds": math.nan}, {"seconds": math.inf}, {"macs": -1.0}])
def test_an_impossible_cost_is_refused(cost: dict[str, float]) -> None:
    ledger = Ledger("queries", 5)
    with pytest.raises(ValueError, match="impossible cost"):
        ledger.charge(queries=1, **cost)
    assert ledger.queries == 0


@pytest.mark.parametrize(("limit", "policy"), [(0, "refuse"), (-3, "refuse"), (math.nan, "refuse"), (5, "sometimes")])
def test_an_impossible_budget_is_refused(limit: float, policy: str) -> None:
    with pytest.raises(ValueError, match=r"allows nothing|is not one of"):
        Ledger("seconds", limit, policy)
