"""Every different cell that the three spaces reach: the rows of an imported table."""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import OPS, Cell
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space

Matrix = tuple[tuple[int, ...], ...]


class Cells(NamedTuple):
    """The different cells, by ascending hash, and where each architecture finds its own."""

    hashes: list[str]
    cells: list[Cell]
    """One of the isomorphic cells for each hash."""
    rows: dict[int, npt.NDArray[np.int32]]
    """For each space, the position of each architecture's cell, by the architecture's number."""


@cache
def distinct_cells() -> Cells:
    """The 66 111 different cells of the three spaces. Takes some seconds, once per process."""
    keys: dict[Cell, str] = {}
    named: dict[int, list[npt.NDArray[np.object_]]] = {}
    for number in PARENTS:
        space = NB1Shot1Space(number)
        digits = np.array(np.unravel_index(np.arange(space.assignments), (len(OPS),) * space.blocks))
        wirings: dict[tuple[int, ...], npt.NDArray[np.object_]] = {}
        named[number] = []
        for topology in range(space.topologies):
            arch = space.without_loose_ends(space.at(topology * space.assignments))
            if arch not in wirings:  # topologies that differ in loose ends have the same cells
                wirings[arch] = _hashes(space, arch, digits, keys)
            named[number].append(wirings[arch])
    hashes, first = np.unique(np.array(list(keys.values()), dtype=object), return_index=True)
    cells = list(keys)
    position = {key: at for at, key in enumerate(hashes)}
    rows = {n: np.array([position[key] for key in np.concatenate(parts)], np.int32) for n, parts in named.items()}
    return Cells(hashes.tolist(), [cells[at] for at in first], rows)


def _hashes(
    space: NB1Shot1Space, arch: tuple[int, ...], digits: npt.NDArray[np.intp], keys: dict[Cell, str]
) -> npt.NDArray[np.object_]:
    """The hash of ``arch`` under every assignment of operations; what is new is added to ``keys``."""
    matrix, order = _ordered(space.cell(arch).matrix)
    used = sorted(space.used(arch))[1:-1]
    found = []
    for ops in itertools.product(range(len(OPS)), repeat=len(used)):
        cell = Cell(matrix, tuple([ops[vertex] for vertex in order]))
        if cell not in keys:
            keys[cell] = fingerprint(cell)
        found.append(keys[cell])
    effective = np.ravel_multi_index(tuple(digits[[block - 1 for block in used]]), (len(OPS),) * len(used))
    hashes: npt.NDArray[np.object_] = np.array(found, dtype=object)[effective]
    return hashes


def _ordered(matrix: Matrix) -> tuple[Matrix, list[int]]:
    """The smallest matrix that another order of the inner vertices gives, and that order; isomorphic graphs then meet.

    Hashing fewer cells halves the time of :func:`distinct_cells`.
    """
    size = len(matrix)
    orders = np.array([(0, *inner, size - 1) for inner in itertools.permutations(range(1, size - 1))])
    variants = np.array(matrix)[orders[:, :, None], orders[:, None, :]]
    numbers = variants.reshape(len(orders), -1) @ (1 << np.arange(size * size))
    numbers[np.tril(variants).any(axis=(1, 2))] = np.iinfo(np.int64).max  # edges must still point forwards
    best = int(numbers.argmin())
    return tuple(map(tuple, variants[best].tolist())), [vertex - 1 for vertex in orders[best, 1:-1].tolist()]
