"""Packed traces say what the searches' step functions say, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.traces import RowTraces, Trace, Traces
from harness.packing import pack, unpack

STEPS = st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 100)), max_size=6)
SEARCHES = st.lists(STEPS, min_size=1, max_size=12)


def packed(searches: list[list[tuple[float, float]]]) -> RowTraces:
    traces = [
        Trace(world, sorted(time for time, _ in steps), {"t": [value for _, value in steps]}, end=50.0)
        for world, steps in enumerate(searches)
    ]
    return Traces({("b", "r"): traces}).of("b", "r")


def step_values(steps: list[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Return the value of the last step at or before each time: the plain definition."""
    seconds, values = sorted(time for time, _ in steps), [value for _, value in steps]
    last = np.searchsorted(seconds, times, side="right") - 1
    return np.array([values[k] if k >= 0 else np.nan for k in last])


@given(SEARCHES, st.floats(0.5, 20))
def test_a_step_function_on_a_grid_is_the_plain_one(searches: list[list[tuple[float, float]]], start: float) -> None:
    grid = np.geomspace(start, 60, 17)
    row, expected = packed(searches), np.array([step_values(steps, grid) for steps in searches])
    np.testing.assert_array_equal(np.array([*row.at_each(row.seconds, row.test["t"], grid)]).T, expected)


@given(SEARCHES, st.integers(1, 12))
def test_searches_that_arrive_in_pieces_are_those_that_arrive_at_once(
    searches: list[list[tuple[float, float]]], size: int
) -> None:
    at_once, pieces = packed(searches), Traces()
    traces = [
        Trace(world, sorted(time for time, _ in steps), {"t": [value for _, value in steps]}, end=50.0)
        for world, steps in enumerate(searches)
    ]
    for start in range(0, len(traces), size):
        pieces.row("b", "r").add(traces[start : start + size])
    row = pieces.of("b", "r")
    for name in ("worlds", "starts", "seconds", "end"):
        np.testing.assert_array_equal(getattr(row, name), getattr(at_once, name))
    np.testing.assert_array_equal(row.test["t"], at_once.test["t"])


@given(SEARCHES, st.lists(st.floats(0, 60), min_size=12, max_size=12))
def test_the_proposal_in_force_at_a_limit_is_the_last_one_made(
    searches: list[list[tuple[float, float]]], limits: list[float]
) -> None:
    row = packed(searches)
    reached = row.at("t", row.seconds, dict(enumerate(limits)))
    expected = {
        world: step_values(steps, np.array([limit]))[0]
        for world, (steps, limit) in enumerate(zip(searches, limits, strict=False))
        if steps and min(time for time, _ in steps) <= limit
    }
    assert reached.to_dict() == expected
    assert row.at("t", row.seconds, {}).empty


@given(SEARCHES)
def test_chosen_searches_are_complete(searches: list[list[tuple[float, float]]]) -> None:
    chosen = np.arange(len(searches)) % 2 == 0
    row, alone = packed(searches).where(chosen), packed(searches[::2])
    np.testing.assert_array_equal(row.starts, alone.starts)
    np.testing.assert_array_equal(row.test["t"], alone.test["t"]) if alone.test else None
    assert row.worlds.tolist() == [2 * k for k in range(len(alone))]


def test_a_search_that_was_not_judged_on_a_target_has_no_value_there() -> None:
    tests: list[dict[str, list[float]]] = [{"a": [1.0]}, {"b": [2.0]}, {"a": [3.0], "b": [4.0]}, {}]
    traces = Traces({("b", "r"): [Trace(world, [1.0], test) for world, test in enumerate(tests)]})
    row = traces.of("b", "r")
    np.testing.assert_array_equal(row.test["a"], [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(row.test["b"], [np.nan, 2, 4, np.nan])
    assert len(traces.of("b", "nobody")) == 0


def test_only_the_first_search_keeps_its_maps_of_weights() -> None:
    log: dict[str, Sequence[float]] = {"weight/cell/0/op": [1.0], "entropy": [0.5], "epoch": [1], "unread": [7.0]}
    traces = Traces({("b", "r"): [Trace(world, log=log) for world in range(2)]})
    assert [sorted(search.log) for search in traces.of("b", "r").logging()] == [
        ["entropy", "epoch", "weight/cell/0/op"],
        ["entropy", "epoch"],
    ]


@given(st.integers(0, 200), st.integers(0, 400))
def test_a_stored_trace_without_its_columns_per_query_has_the_others_unchanged(short: int, long: int) -> None:
    trace: dict[str, np.ndarray] = {
        "seconds": np.arange(long) / 7,
        "accuracy": np.arange(long, dtype=np.float32),
        "proposal_seconds": np.arange(short) / 3,
    }
    everything, part = (unpack(pack(trace), per_query=wanted) for wanted in (True, False))
    assert set(part) == {"proposal_seconds"} and set(everything) == set(trace)
    for name, values in trace.items():
        np.testing.assert_array_equal(everything[name], values)
    np.testing.assert_array_equal(part["proposal_seconds"], trace["proposal_seconds"])
