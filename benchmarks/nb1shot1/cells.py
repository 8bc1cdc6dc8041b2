"""The distinct cells of the three spaces, which are the rows of an imported table."""

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
    """The distinct cells, by ascending hash, and the row of each architecture."""

    hashes: list[str]
    cells: list[Cell]
    """A cell for each hash; isomorphic cells share it."""
    rows: dict[int, npt.NDArray[np.int32]]
    """For each space, the row of each architecture's cell, by the architecture's number."""


@cache
def distinct_cells() -> Cells:
    """Return the 66 111 distinct cells of the three spaces. The first call in a process takes seconds."""
    keys: dict[Cell, str] = {}
    named: dict[int, list[npt.NDArray[np.object_]]] = {}
    for number in PARENTS:
        space = NB1Shot1Space(number)
        digits = np.array(np.unravel_index(np.arange(space.assignments), (len(OPS),) * space.blocks))
        wirings: dict[tuple[int, ...], npt.NDArray[np.object_]] = {}
        named[number] = []
        for topology in range(space.topologies):
            arch = space.without_loose_ends(space.at(topology * space.assignments))
            if arch not in wirings:  # topologies that differ only in loose ends have the same cells
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
    """Return the hash of ``arch`` under every assignment of operations. Add new cells to ``keys``."""
    matrix, order = _ordered(space.cell(arch).matrix)
    used = sorted(space.used(arch))[1:-1]
    row_hashes = []
    for ops in itertools.product(range(len(OPS)), repeat=len(used)):
        cell = Cell(matrix, tuple([ops[vertex] for vertex in order]))
        if cell not in keys:
            keys[cell] = fingerprint(cell)
        row_hashes.append(keys[cell])
    effective = np.ravel_multi_index(tuple(digits[[block - 1 for block in used]]), (len(OPS),) * len(used))
    hashes: npt.NDArray[np.object_] = np.array(row_hashes, dtype=object)[effective]
    return hashes


def _ordered(matrix: Matrix) -> tuple[Matrix, list[int]]:
    """Return the smallest matrix over all orders of the inner vertices, and its order.

    Isomorphic graphs get the same matrix, so fewer cells are hashed, which halves the time of :func:`distinct_cells`.
    """
    size = len(matrix)
    orders = np.array([(0, *inner, size - 1) for inner in itertools.permutations(range(1, size - 1))])
    variants = np.array(matrix)[orders[:, :, None], orders[:, None, :]]
    numbers = variants.reshape(len(orders), -1) @ (1 << np.arange(size * size))
    numbers[np.tril(variants).any(axis=(1, 2))] = np.iinfo(np.int64).max  # edges must still point forwards
    best = int(numbers.argmin())
    return tuple(map(tuple, variants[best].tolist())), [vertex - 1 for vertex in orders[best, 1:-1].tolist()]
