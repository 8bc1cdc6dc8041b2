"""Read TensorFlow's record files: a sequence of length, checksum of the length, data, checksum of the data."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO

import numpy as np
import numpy.typing as npt

from harness.errors import UserError

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's polynomial, reflected."""
_BATCH = 4096
"""Records whose checksums are computed together, one byte position at a time."""
_MOST = 1 << 14
"""Largest size of a record in bytes; published records have fewer than 2 000."""
_HEADER = struct.Struct("<QI")


def _table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


_TABLE = _table()


def records(file: IO[bytes], progress: Callable[[int], None] = lambda position: None) -> Iterator[tuple[int, bytes]]:
    """Yield every record with its number, counted from 1. A few thousand records are in memory at a time.

    Args:
        progress: called with the position in the file after each batch.

    Raises:
        UserError: a record is cut short or has a wrong checksum; a clause with the number of the record.
    """
    number = 0
    while True:
        batch: list[bytes] = []
        sums: list[int] = []
        while len(batch) < _BATCH and (record := _next(file, number + len(batch) + 1)) is not None:
            batch.append(record[0])
            sums.append(record[1])
        wrong = masked_crc32c(batch) != np.array(sums, np.uint32)
        if wrong.any():
            raise UserError(f"the data of record {number + int(wrong.argmax()) + 1:,} do not match their checksum")
        for data in batch:
            number += 1
            yield number, data
        if len(batch) < _BATCH:
            return
        progress(file.tell())


def masked_crc32c(messages: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32C of each message, masked as TensorFlow stores it (rotated, with a constant added).

    The register starts with all bits set. Inverting the first four bytes of a message has the same effect on a register of
    zeros, and leading zero bytes do not change such a register. Messages of all lengths therefore fit into one matrix,
    right-aligned.
    """
    width = max([4, *map(len, messages)])
    matrix = np.frombuffer(b"".join([message.rjust(width, b"\0") for message in messages]), np.uint8).reshape(-1, width).copy()
    lengths = np.array([len(message) for message in messages], np.int64)
    for place in range(4):
        rows = np.flatnonzero(lengths > place)
        matrix[rows, width - lengths[rows] + place] ^= 0xFF
    crc = np.zeros(len(messages), np.uint32)
    for column in np.ascontiguousarray(matrix.T):
        crc = _TABLE[(crc ^ column).astype(np.uint8)] ^ (crc >> np.uint32(8))
    # a message shorter than four bytes has not inverted the upper bytes of the register
    short = np.minimum(lengths, 4)
    crc ^= np.where(short < 4, np.uint32(0xFFFFFFFF) >> (8 * short).astype(np.uint32), np.uint32(0))
    crc = ~crc
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _next(file: IO[bytes], number: int) -> tuple[bytes, int] | None:
    """Return data and stored checksum of the next record, or None at the end of the file."""
    header = file.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise UserError(f"it stops within the header of record {number:,}")
    length, checksum = _HEADER.unpack(header)
    if checksum != _length_checksum(length):
        raise UserError(f"the length of record {number:,} does not match its checksum")
    if length > _MOST:
        raise UserError(f"record {number:,} has {length:,} bytes; there may be {_MOST:,}")
    body = file.read(length + 4)
    if len(body) < length + 4:
        raise UserError(f"record {number:,} stops after {len(body):,} of {length + 4:,} bytes")
    return body[:-4], int.from_bytes(body[-4:], "little")


@lru_cache(maxsize=4096)
def _length_checksum(length: int) -> int:
    return int(masked_crc32c([struct.pack("<Q", length)])[0])
