from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.budget import CURRENCIES, Budget, BudgetExhausted

costs = st.lists(st.floats(0.01, 50), min_size=1, max_size=60)


def spend(budget: Budget, amounts: list[float], currency: str) -> list[float]:
    """Charge amounts until the budget ends the search. Return those that were booked."""
    booked: list[float] = []
    for amount in amounts:
        try:
            budget.charge(queries=0, **{currency: amount})
        except BudgetExhausted:
            break
        booked.append(amount)
    return booked


@given(costs, st.sampled_from(["seconds", "epochs", "macs", "solver_calls"]))
def test_refuse_never_crosses_and_stops_only_where_it_would(amounts: list[float], currency: str) -> None:
    budget = Budget(currency, 100.0, "refuse")
    booked = spend(budget, amounts, currency)
    assert budget.spent(currency) == pytest.approx(sum(booked))
    assert sum(booked) <= 100.0 + 1e-9
    if len(booked) < len(amounts):
        assert sum(booked) + amounts[len(booked)] > 100.0


@given(costs, st.sampled_from(["seconds", "epochs", "macs", "solver_calls"]))
def test_allow_last_makes_exactly_one_charge_that_crosses(amounts: list[float], currency: str) -> None:
    booked = spend(Budget(currency, 100.0, "allow_last"), amounts, currency)
    if len(booked) < len(amounts):
        assert sum(booked) >= 100.0 > sum(booked[:-1])


@pytest.mark.parametrize("policy", ["refuse", "allow_last"])
def test_a_budget_of_queries_allows_exactly_that_many(policy: str) -> None:
    budget = Budget("queries", 7, policy)
    with pytest.raises(BudgetExhausted):
        for _ in range(10):
            budget.charge(queries=1, seconds=3.0)
    assert budget.queries == 7


def test_exhaustion_is_final_and_no_ordinary_exception() -> None:
    budget = Budget("seconds", 10.0)
    budget.charge(seconds=9.0)
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            budget.charge(seconds=0.5 if budget.exhausted else 2.0)
    assert budget.seconds == 9.0
    assert not issubclass(BudgetExhausted, Exception)


def test_without_a_limit_everything_is_booked() -> None:
    budget = Budget()
    for _ in range(5):
        budget.charge(queries=1, seconds=2.0, epochs=3.0, macs=4.0, features=5.0)
    assert [budget.spent(name) for name in (*CURRENCIES, "features")] == [5, 10, 15, 20, 25]
    assert budget.left == math.inf


@pytest.mark.parametrize("cost", [{"seconds": -1.0}, {"seconds": math.nan}, {"seconds": math.inf}, {"macs": -1.0}])
def test_an_impossible_cost_is_refused(cost: dict[str, float]) -> None:
    budget = Budget("queries", 5)
    with pytest.raises(ValueError, match="impossible cost"):
        budget.charge(queries=1, **cost)
    assert budget.queries == 0


@pytest.mark.parametrize(("limit", "policy"), [(0, "refuse"), (-3, "refuse"), (math.nan, "refuse"), (5, "sometimes")])
def test_an_impossible_budget_is_refused(limit: float, policy: str) -> None:
    with pytest.raises(ValueError, match=r"allows nothing|is not one of"):
        Budget("seconds", limit, policy)
