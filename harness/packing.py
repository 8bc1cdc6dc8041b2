"""Named columns of numbers as one compressed blob, the form in which the store holds a trace."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

_DTYPES = {"f4": "<f4", "i8": "<i4", "i4": "<i4"}


def pack(trace: Mapping[str, Sequence[float]]) -> bytes:
    """Return a JSON header and then the columns: float64 values, or float32 and int32 for columns of these types."""
    arrays = {name: np.asarray(values) for name, values in trace.items()}
    if any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("a trace has columns of numbers only")
    columns = {name: array.astype(_DTYPES.get(array.dtype.str[1:], "<f8")) for name, array in arrays.items()}
    header = json.dumps({name: [array.dtype.str, len(array)] for name, array in columns.items()}).encode()
    body = b"".join(array.tobytes() for array in columns.values())
    return zlib.compress(struct.pack("<I", len(header)) + header + body, 1)


def unpack(blob: bytes, skip: frozenset[str] = frozenset()) -> dict[str, npt.NDArray[Any]]:
    """The inverse of :func:`pack`, without the columns named in ``skip``."""
    data = zlib.decompress(blob)
    (length,) = struct.unpack_from("<I", data)
    at, columns = 4 + length, {}
    for name, dtype, n in _header(data[4:at]):
        if name not in skip:
            columns[name] = np.frombuffer(data, dtype, n, at)
        at += n * dtype.itemsize
    return columns


@lru_cache(maxsize=4096)
def _header(text: bytes) -> list[tuple[str, np.dtype[Any], int]]:
    """Runs of one row share few headers: only the numbers of points differ."""
    return [(name, np.dtype(dtype), n) for name, (dtype, n) in json.loads(text).items()]
