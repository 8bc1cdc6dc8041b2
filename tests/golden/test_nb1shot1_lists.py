"""The published lists of cells without loose ends, generated as in the original repository.

Its generator copies the matrix once per combination of parents and then follows the parents in turn. It therefore leaves out
topologies in which two parents of a node both need further parents: the lists are a part of each space.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from benchmarks.nb1shot1.cell import prune
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.space import PARENTS

LISTS = {1: (49, 2_487, 2_127), 2: (65, 3_609, 3_258), 3: (234, 24_066, 17_940)}
"""Topologies, entries, and different cells among them."""

Matrix = list[list[int]]


def is_cell(matrix: Matrix, taken: tuple[int, ...]) -> bool:
    """Return whether the original accepts a matrix: nodes have all their inputs or none, and only the input lacks inputs."""
    size = len(matrix)
    inputs = [sum(row[node] for row in matrix) for node in range(size)]
    outputs = [sum(row) for row in matrix]
    return (
        sum(outputs[1:-1]) > 0
        and all(inputs[node] in (0, taken[node - 1]) for node in range(1, size))
        and sum(map(bool, outputs)) == sum(map(bool, inputs))
        and outputs[0] > 0
        and sum(outputs) <= 9
    )


def grown(matrix: Matrix, node: int, taken: tuple[int, ...]) -> Iterator[Matrix]:
    """Yield cells backwards from ``node``, one branch of parents at a time, on a copy that the branches share."""
    if is_cell(matrix, taken):
        yield [list(row) for row in matrix]
        return
    missing = taken[node - 1] - sum(row[node] for row in matrix) if node else 0
    for parents in itertools.combinations(range(node), missing) if missing > 0 else ():
        branch = [list(row) for row in matrix]
        for parent in parents:
            branch[parent][node] = 1
            yield from grown(branch, parent, taken)


@pytest.mark.parametrize("number", PARENTS)
def test_the_published_lists_are_replayed(number: int) -> None:
    taken = PARENTS[number]
    size = len(taken) + 1
    topologies = list(grown([[0] * size for _ in range(size)], size - 1, taken))
    hashes = []
    for matrix in topologies:
        used = [node for node in range(1, size - 1) if any(matrix[node])]
        for chosen in itertools.product(range(3), repeat=len(used)):
            ops = [0] * (size - 2)
            for node, op in zip(used, chosen, strict=True):
                ops[node - 1] = op
            hashes.append(fingerprint(prune(matrix, ops)))
    assert (len(topologies), len(hashes), len(set(hashes))) == LISTS[number]
    assert set(hashes) < {distinct_cells().hashes[row] for row in distinct_cells().rows[number]}
