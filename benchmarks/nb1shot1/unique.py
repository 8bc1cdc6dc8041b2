"""The cells of space 1 that are trained: of each isomorphic class one."""

from __future__ import annotations

import random
from functools import cache

from benchmarks.nb1shot1.cell import Cell
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.space import NB1Shot1Space
from harness.seeds import derive


@cache
def representatives() -> tuple[int, ...]:
    """The number of the first architecture of each different cell, 2 685 of them, in a fixed random order.

    Random, so that the cells of an unfinished build are a sample of all.
    """
    space = NB1Shot1Space(1)
    keys: dict[Cell, str] = {}
    first: dict[str, int] = {}
    for number in range(space.size):
        cell = space.cell(space.at(number))
        if cell not in keys:
            keys[cell] = fingerprint(cell)
        first.setdefault(keys[cell], number)
    numbers = list(first.values())
    random.Random(derive("nb1shot1/1-digits", "order")).shuffle(numbers)
    return tuple(numbers)
