from __future__ import annotations

from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.packing import pack, unpack

columns = st.dictionaries(
    st.text(min_size=1, max_size=12),
    st.one_of(
        st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30),
        st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30),
        st.lists(st.floats(width=32), min_size=1, max_size=30).map(lambda values: array("f", values)),
    ),
    max_size=5,
)


@given(columns)
def test_traces_survive_packing(trace: dict[str, list[float]]) -> None:
    again = unpack(pack(trace))
    assert list(again) == list(trace)
    for name, values in trace.items():
        np.testing.assert_array_equal(again[name], values)
