"""The schedule of a search: its own epochs to the digit, or as many as a budget allows."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.budget import BudgetExhausted, BudgetTooSmall, Ledger, Spending, rounded_up
from harness.errors import UserError
from harness.schedule import Schedule
from harness.testing.toy import ToySpace
from harness.view import SearchView

prices = st.floats(0.05, 2.0)


def searched(
    limit: float,
    prices: list[float],
    *,
    epochs: int = 50,
    steps: int = 8,
    after: float = 0.0,
    selection: float = 0.0,
    lesson: float = 0.0,
) -> tuple[Ledger, list[float], int]:
    """Run a search whose steps cost ``prices`` in turn. Return its ledger, the positions of its steps, and its epochs."""
    ledger = Ledger("seconds", limit, "fit")
    schedule = Schedule(Spending(ledger), epochs)
    schedule.reserve, schedule.lesson = selection, lesson
    positions, number = [], 0
    for _ in schedule.epochs():
        for _ in schedule.steps(range(steps)):
            positions.append(schedule.position)
            ledger.charge(seconds=prices[len(positions) % len(prices)])
        ledger.charge(seconds=after)
        number += 1
    ledger.charge(seconds=selection)
    return ledger, positions, number


@given(st.integers(1, 60), st.integers(0, 20))
def test_a_schedule_without_a_limit_is_its_own(epochs: int, first: int) -> None:
    for policy in ("refuse", "allow_last", "fit"):
        schedule = Schedule(Spending(Ledger(policy=policy)), epochs)
        positions = []
        for number in schedule.epochs(min(first, epochs)):
            assert list(schedule.steps("abc")) == ["a", "b", "c"]
            positions.append((number, schedule.position))
        assert positions == [(number, float(number)) for number in range(min(first, epochs), epochs)]


@given(st.floats(75, 2000), st.lists(prices, min_size=1, max_size=30), st.floats(0, 3), st.floats(0, 10))
def test_a_fitted_search_never_crosses_its_limit_and_ends_within_an_epoch_of_it(
    limit: float, prices: list[float], after: float, selection: float
) -> None:
    ledger, _, _ = searched(limit, prices, after=after, selection=selection)
    assert ledger.seconds <= limit
    assert ledger.seconds >= limit - 2 * max(prices) - after - 1e-9, "less than two steps and one lesson are left"


@given(st.floats(100, 500), prices)
def test_twice_the_limit_gives_about_twice_the_epochs(limit: float, price: float) -> None:
    once, twice = (searched(share * limit, [price])[2] for share in (1, 2))
    assert abs(twice - 2 * once) <= 2


@given(st.floats(100, 1000), st.lists(prices, min_size=1, max_size=30), st.integers(1, 300))
def test_the_position_runs_through_the_whole_schedule(limit: float, prices: list[float], epochs: int) -> None:
    _, positions, _ = searched(limit, prices, epochs=epochs)
    assert positions == sorted(positions)
    assert positions[0] == 0
    assert (epochs - 1) * (1 - 3 * max(prices) / limit) <= positions[-1] <= epochs - 1


@given(st.floats(1, 10), st.lists(prices, min_size=1, max_size=30), st.floats(0, 3), st.integers(2, 300), st.booleans())
def test_the_position_runs_on_step_by_step(epochs: float, prices: list[float], after: float, length: int, known: bool) -> None:
    """A step moves it by four times its share of the budget at most, also from the end of an epoch to the next."""
    first = sum(prices[(k + 1) % len(prices)] for k in range(8)) + after
    limit = epochs * first + max(prices)  # a step may cost as much as the dearest before it
    _, positions, _ = searched(limit, prices, epochs=length, after=after, lesson=after * known)
    assert positions == sorted(positions)
    for step, (before, now) in enumerate(pairwise(positions), start=1):
        charged = max(prices) + (after if step % 8 == 0 else 0.0)
        drift = 8 * max(prices) - first if step > 8 and step % 8 == 0 else 0.0
        assert now - before <= (length - 1) * 4 * (charged + max(drift, 0.0)) / limit * (1 + 1e-6)


def test_a_budget_of_two_epochs_runs_to_the_end_of_the_schedule_in_the_first() -> None:
    _, positions, number = searched(16 * (1 + 1e-9), [1.0], epochs=9)
    assert number == 2
    assert positions[:9] == pytest.approx(range(9)) and positions[9:] == pytest.approx([8] * 7)


@given(st.integers(2, 40), st.floats(0.1, 3), st.integers(1, 300))
def test_the_last_epoch_is_at_the_end_of_the_schedule_from_its_start(number: int, price: float, epochs: int) -> None:
    _, positions, fitted = searched(number * 8 * price * (1 + 1e-6), [price], epochs=epochs)
    assert fitted == number
    assert positions[-8] == pytest.approx(epochs - 1, rel=1e-4)


@pytest.mark.parametrize("limit", [1.5, 3.0, 7.9])
def test_a_budget_that_pays_for_no_epoch_says_what_is_needed(limit: float) -> None:
    with pytest.raises(BudgetTooSmall, match="needs at least 8 seconds"):
        searched(limit, [1.0], steps=8)


@given(st.floats(0.01, 0.99), prices, st.floats(0, 3), st.floats(0, 20))
def test_what_a_too_small_budget_needs_suffices(share: float, price: float, after: float, selection: float) -> None:
    """If prices are constant, and the price of lessons is known in advance."""
    more: dict[str, Any] = {"after": after, "selection": selection, "lesson": after}
    needed = 8 * price + after + selection
    with pytest.raises(BudgetExhausted) as refused:
        searched(share * needed, [price], **more)
    if share * needed < price:
        assert type(refused.value) is BudgetExhausted, "nothing is known before the first step"
    else:
        granted = float(str(refused.value).split()[3])
        assert needed * (1 - 1e-9) <= granted <= needed * 1.011
        assert searched(granted, [price], **more)[2] == 1


@given(st.floats(1e-12, 1e15))
def test_an_amount_is_rounded_up_to_three_digits(amount: float) -> None:
    assert amount <= float(rounded_up(amount)) <= amount * 1.0101


@pytest.mark.parametrize("epochs", [0, -3])
def test_a_schedule_without_epochs_is_an_error(epochs: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Schedule(Spending(Ledger("seconds", 10, "fit")), epochs)


def test_a_budget_that_pays_for_no_selection_says_what_selection_and_an_epoch_cost() -> None:
    with pytest.raises(BudgetTooSmall, match="needs at least 28 seconds"):
        searched(10, [1.0], selection=20)


@pytest.mark.parametrize("stopped", range(1, 8))
def test_a_resumed_schedule_goes_on_as_if_it_had_not_stopped(stopped: int) -> None:
    assert _numbers(None) == _numbers(stopped)


def _numbers(stopped: int | None) -> list[tuple[int, float]]:
    ledger = Ledger("seconds", 100, "fit")
    schedule, lines = Schedule(Spending(ledger), 10), []
    schedule.reserve = 7.0
    first = 0
    while True:
        for number in schedule.epochs(first):
            lines.append((number, schedule.position))
            for step in schedule.steps(range(5)):
                ledger.charge(seconds=0.5 + step * number / 50)
            ledger.charge(seconds=0.7 * (number + 1))
            state = schedule.state_dict()
            if number + 1 == stopped:
                break
        else:
            return lines
        first, stopped = number + 1, None
        again = Ledger("seconds", 100, "fit")
        again.restore(ledger.snapshot())
        ledger, schedule = again, Schedule(Spending(again), 10)
        schedule.load_state_dict(state)


@given(st.floats(20, 200), st.integers(1, 60))
def test_a_view_yields_whole_epochs_as_far_as_the_budget_pays(limit: float, own: int) -> None:
    ledger = Ledger("seconds", limit, "fit")
    shares: list[float] = []
    view = SearchView(ToySpace(), ledger, None, 0, "self", report=shares.append)
    for _ in view.epochs(own):
        ledger.charge(seconds=3.0)
    assert limit - 3.0 - 1e-9 <= ledger.seconds <= limit
    assert shares == sorted(shares) and shares[-1] <= 1


def test_a_view_without_a_limit_yields_the_method_s_own_epochs() -> None:
    shares: list[float] = []
    view = SearchView(ToySpace(), Ledger(), None, 0, "self", report=shares.append)
    assert list(view.epochs(4)) == [0, 1, 2, 3]
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_a_search_that_is_never_charged_the_currency_ends_with_a_reason() -> None:
    schedule = Schedule(Spending(Ledger("seconds", 10, "fit")), 5)
    with pytest.raises(UserError, match="is charged no seconds"):
        for _ in schedule.epochs():
            list(schedule.steps("abc"))


def test_a_search_that_stops_paying_ends_with_a_reason() -> None:
    """Otherwise it would never end."""
    ledger = Ledger("seconds", 10, "fit")
    with pytest.raises(UserError, match="is charged no seconds"):
        for epoch in SearchView(ToySpace(), ledger, None, 0, "self").epochs(5):
            ledger.charge(seconds=float(not epoch))


def test_a_search_that_catches_the_end_has_no_further_epoch() -> None:
    ledger = Ledger("seconds", 10, "fit")
    epochs = 0
    for _ in SearchView(ToySpace(), ledger, None, 0, "self").epochs(5):
        epochs += 1
        with suppress(BudgetExhausted):
            ledger.charge(seconds=1)
            ledger.charge(seconds=0 if epochs == 1 else 100)
    assert epochs == ledger.seconds == 2


def test_a_search_that_does_not_name_its_steps_pays_for_whole_epochs() -> None:
    ledger = Ledger("seconds", 10, "fit")
    for _ in Schedule(Spending(ledger), 5).epochs():
        ledger.charge(seconds=3)
    assert ledger.seconds == 9
