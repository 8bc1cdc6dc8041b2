"""The cells that are trained: of each isomorphic class one."""

from __future__ import annotations

from functools import cache

from benchmarks.nb201.space import NB201Space, official_order


@cache
def representatives() -> tuple[int, ...]:
    """The official index of each unique cell, the smallest of its isomorphic class, ascending; 6 466 of them."""
    space = NB201Space()
    first: dict[str, int] = {}
    for index, arch in enumerate(official_order()):
        first.setdefault(space.canonical(arch), index)
    return tuple(first.values())
