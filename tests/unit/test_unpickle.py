"""An untrusted pickle may have plain data. Everything else is refused by name and not executed."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.unpickle import NotPlain, load_plain


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_data_is_admitted(protocol: int) -> None:
    data = {
        "a": OrderedDict(x=[1, 2.5, None, "é"]),
        "b": {(1, "s"): {1, 2}, "f": frozenset({3})},
        "c": [np.float64(1.5), np.float32(0.25), np.int64(-3), np.bool_(True)],
        "d": defaultdict(list, k=[1]),
        "e": b"\x00\xff",
    }
    assert load_plain(io.BytesIO(pickle.dumps(data, protocol))) == data


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Calls(os.system, "touch /tmp/owned"), "posix.system"),
        (Calls(eval, "1"), "builtins.eval"),
        (Calls(getattr, 1, "real"), "builtins.getattr"),
        (Path("x"), "pathlib"),
        (np.arange(3), "_reconstruct"),
        (defaultdict(os.getcwd), "posix.getcwd"),
        (np.dtype(object), "type 'O8'"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_everything_else_is_refused_by_name(value: Any, named: str, protocol: int) -> None:
    with pytest.raises(NotPlain, match=named):
        load_plain(io.BytesIO(pickle.dumps([value], protocol)))
