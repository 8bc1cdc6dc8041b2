from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pace import Work, clock, duration, seconds_left

KNOWN = st.builds(Work, st.sampled_from("ab"), st.floats(0, 50), st.floats(1, 50), st.floats(0, 1e4))


@given(st.lists(KNOWN, max_size=5), st.integers(1, 8))
def test_more_workers_are_never_slower_and_never_faster_than_one_run(rows: list[Work], workers: int) -> None:
    seconds = seconds_left(rows, workers)
    assert seconds is not None
    assert seconds <= (seconds_left(rows, 1) or 0.0) + 1e-9
    assert seconds >= max((min(row.left, 1.0) * row.seconds / row.runs for row in rows), default=0.0) - 1e-9


def test_a_row_without_runs_costs_what_its_kind_costs_and_a_kind_without_runs_is_unknown() -> None:
    rows = [Work("a", 0, 2, 20.0), Work("a", 3), Work("b", 1)]
    assert seconds_left(rows[:2], 1) == 30.0
    assert seconds_left(rows, 1) is None
    assert seconds_left([], 1) == 0.0


@pytest.mark.parametrize(
    ("seconds", "minutes", "words"),
    [(3.24, "0:03", "3.2 s"), (61, "1:01", "61 s"), (754, "12:34", "13 min"), (11_100, "3:05:00", "3 h 05 min")],
)
def test_durations_read_well(seconds: float, minutes: str, words: str) -> None:
    assert clock(seconds) == minutes
    assert duration(seconds) == words


def test_days_are_days() -> None:
    assert duration(5 * 86_400) == "5 days"
