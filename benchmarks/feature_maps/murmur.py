"""MurmurHash3 (x86, 32 bits) of many short keys at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]


def murmur3(words: Sequence[Words], seed: int) -> Words:
    """Return the hash of each key: of the little-endian bytes of its 32-bit words. ``words[i]`` has word i of every key."""
    hashed = np.full(len(words[0]), seed & 0xFFFFFFFF, np.uint32)
    for word in words:
        mixed = word * np.uint32(0xCC9E2D51)
        mixed = _rotated(mixed, 15)
        mixed *= np.uint32(0x1B873593)
        hashed ^= mixed
        hashed = _rotated(hashed, 13)
        hashed *= np.uint32(5)
        hashed += np.uint32(0xE6546B64)
    hashed ^= np.uint32(4 * len(words))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        hashed ^= hashed >> np.uint32(shift)
        hashed *= np.uint32(factor)
    hashed ^= hashed >> np.uint32(16)
    return hashed


def _rotated(values: Words, bits: int) -> Words:
    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))
