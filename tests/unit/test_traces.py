"""Packed traces say what the searches' step functions say, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.packing import pack, unpack
from reports import traces as module
from reports.traces import RowTraces, Trace, Traces

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


@given(SEARCHES, st.sampled_from([1, 3, 4096]))
def test_a_step_function_on_a_grid_is_the_plain_one_in_blocks_of_any_size(
    searches: list[list[tuple[float, float]]], block: int
) -> None:
    grid = np.geomspace(0.5, 60, 17)
    row, expected = packed(searches), np.array([step_values(steps, grid) for steps in searches])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        tables = list(row.on_grid(row.seconds, row.test["t"], grid))
        mean, std = row.mean_on_grid(row.seconds, row.test["t"], grid)
    np.testing.assert_array_equal(np.concatenate(tables), expected)
    np.testing.assert_allclose(mean, expected.mean(axis=0), atol=1e-12)
    if len(searches) > 1:
        np.testing.assert_allclose(std, expected.std(axis=0, ddof=1), atol=1e-9)


@given(SEARCHES, st.lists(st.floats(0, 60), min_size=12, max_size=12))
def test_the_proposal_in_force_at_a_limit_is_the_last_one_made(
    searches: list[list[tuple[float, float]]], limits: list[float]
) -> None:
    row = packed(searches)
    last = row.in_force(row.seconds, np.array(limits[: len(searches)]))
    values = [row.test["t"][k] if k >= 0 else np.nan for k in last]
    expected = [step_values(steps, np.array([limit]))[0] for steps, limit in zip(searches, limits, strict=False)]
    np.testing.assert_array_equal(values, expected)
    assert (row.in_force(row.seconds, np.full(len(row), np.nan)) == -1).all()


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
