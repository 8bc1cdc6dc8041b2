"""Seeds derive from named axes, never from global generators."""

from __future__ import annotations

import hashlib


def derive(*axes: str | int) -> int:
    """Return a 63-bit seed that depends on every axis and on their order: ``derive("world", "nb201/cifar10", 7)``."""
    text = "\x1f".join(f"{type(axis).__name__}:{axis}" for axis in axes)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


_MASK = (1 << 64) - 1


def mix(key: int) -> int:
    """Return 64 well-mixed bits of an integer (SplitMix64's finaliser): a fraction of a microsecond, no state."""
    key = (key + 0x9E3779B97F4A7C15) & _MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
    return key ^ (key >> 31)
