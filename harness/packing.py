"""Named columns of numbers as one compressed blob: the form of a trace in the store."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

PER_QUERY = frozenset(("seconds", "accuracy"))
"""Columns of a trace with a value per query. They are the largest and the last ones: a reader can skip them."""
FIRST = 1024
"""Number of bytes that such a reader unpacks first."""
_DTYPES = {"f4": "<f4", "i8": "<i4", "i4": "<i4"}


def pack(trace: Mapping[str, npt.ArrayLike]) -> bytes:
    """Return columns of numbers as one compressed blob: a JSON header, then float64 values (float32 and int32 stay so)."""
    ordered = sorted(trace.items(), key=lambda item: item[0] in PER_QUERY)
    arrays = {name: np.asarray(values) for name, values in ordered}
    if any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("a trace has columns of numbers only")
    columns = {name: array.astype(_DTYPES.get(array.dtype.str[1:], "<f8")) for name, array in arrays.items()}
    header = json.dumps({name: [array.dtype.str, len(array)] for name, array in columns.items()}).encode()
    body = b"".join(array.tobytes() for array in columns.values())
    return zlib.compress(struct.pack("<I", len(header)) + header + body, 1)


def unpack(blob: bytes, *, per_query: bool = True) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a blob; without those of :data:`PER_QUERY` if ``per_query`` is false."""
    stream = zlib.decompressobj()
    data = stream.decompress(blob, 0 if per_query else FIRST)
    (length,) = struct.unpack_from("<I", data)
    if len(data) < 4 + length:
        data += stream.decompress(stream.unconsumed_tail)
    at, columns = 4 + length, {}
    for name, dtype, n in _header(data[4:at]):
        end = at + n * dtype.itemsize
        if per_query or name not in PER_QUERY:
            if len(data) < end:
                data += stream.decompress(stream.unconsumed_tail)
            columns[name] = np.frombuffer(data, dtype, n, at)
        at = end
    return columns


@lru_cache(maxsize=4096)
def _header(text: bytes) -> list[tuple[str, np.dtype[Any], int]]:
    """Return name, type and length of each column. Runs of one row share few headers: only the lengths differ."""
    return [(name, np.dtype(dtype), n) for name, (dtype, n) in json.loads(text).items()]
