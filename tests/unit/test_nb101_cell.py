"""NAS-Bench-101's cells: pruning, the graph hash, and the size of the network."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nb1shot1.cell import Cell, InvalidCell, prune
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.size import network_size, vertex_channels
from tests.plain_nb101 import plain_fingerprint


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """An upper triangular matrix with up to 7 vertices, at most 9 edges, and its operations."""
    size = draw(st.integers(2, 7))
    pairs = list(itertools.combinations(range(size), 2))
    edges = draw(st.lists(st.sampled_from(pairs), max_size=9, unique=True))
    ops = draw(st.lists(st.integers(0, 2), min_size=size - 2, max_size=size - 2))
    return [[int((source, target) in edges) for target in range(size)] for source in range(size)], ops


def pruned(graph: tuple[list[list[int]], list[int]]) -> Cell | None:
    try:
        return prune(*graph)
    except InvalidCell:
        return None


@given(graphs())
def test_every_vertex_of_a_pruned_cell_lies_between_input_and_output(graph: tuple[list[list[int]], list[int]]) -> None:
    cell = pruned(graph)
    if cell is None:
        return
    size = len(cell.matrix)
    assert all(any(cell.matrix[vertex]) for vertex in range(size - 1))
    assert all(any(row[vertex] for row in cell.matrix) for vertex in range(1, size))
    assert prune(*cell) == cell


@given(graphs(), st.integers(0, 2))
def test_an_unconnected_vertex_changes_nothing(graph: tuple[list[list[int]], list[int]], op: int) -> None:
    matrix, ops = graph
    if len(matrix) == 7:
        return
    wider = [[*row[:-1], 0, row[-1]] for row in matrix[:-1]] + [[0] * (len(matrix) + 1)] * 2
    assert pruned((wider, [*ops, op])) == pruned(graph)


@given(graphs(), st.randoms(use_true_random=False))
def test_isomorphic_cells_share_the_hash(graph: tuple[list[list[int]], list[int]], rng: random.Random) -> None:
    cell = pruned(graph)
    if cell is None:
        return
    size = len(cell.matrix)
    inner = list(range(1, size - 1))
    rng.shuffle(inner)
    order = [0, *inner, size - 1]
    matrix = tuple(tuple(cell.matrix[source][target] for target in order) for source in order)
    assert fingerprint(Cell(matrix, tuple(cell.ops[vertex - 1] for vertex in inner))) == fingerprint(cell)


@given(graphs())
def test_the_compiled_hash_is_the_definitions(graph: tuple[list[list[int]], list[int]]) -> None:
    if cell := pruned(graph):
        assert fingerprint(cell) == plain_fingerprint(cell)


@given(graphs())
def test_another_operation_is_another_hash_and_another_size(graph: tuple[list[list[int]], list[int]]) -> None:
    cell = pruned(graph)
    if cell is None or not cell.ops:
        return
    cells = [Cell(cell.matrix, (op, *cell.ops[1:])) for op in range(3)]
    assert len({fingerprint(cell) for cell in cells}) == 3
    conv3x3, conv1x1, pool = (network_size(cell) for cell in cells)
    assert conv3x3[0] > conv1x1[0] > pool[0]
    assert conv3x3[1] > conv1x1[1] > pool[1]


@pytest.mark.parametrize(
    ("matrix", "ops", "reason"),
    [
        ([[0, 0], [0, 0]], [], "no path"),
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], [0], "no path"),
        ([[0, 1], [1, 0]], [], "not upper triangular"),
        ([[0, 2], [0, 0]], [], "entries 0 and 1"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [3], "are not numbers of"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [], "no square matrix"),
        ([[int(target == source + 1) for target in range(8)] for source in range(8)], [0] * 6, "8 vertices and 7 edges"),
        ([[int(target > source) for target in range(5)] for source in range(5)], [0] * 3, "5 vertices and 10 edges"),
    ],
)
def test_what_is_no_cell_is_refused_with_the_reason(matrix: list[list[int]], ops: list[int], reason: str) -> None:
    with pytest.raises(InvalidCell, match=reason):
        prune(matrix, ops)


def test_the_cell_that_is_one_edge_has_the_size_that_its_layers_add_up_to() -> None:
    projections = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    stem, classifier = 27 * 128 + 2 * 128, 513 * 10
    expected = stem + sum(inputs * outputs + 2 * outputs for inputs, outputs in projections) + classifier
    pixels = [1024] * 3 + [256] * 3 + [64] * 3
    macs = 1024 * 27 * 128 + sum(n * i * o for n, (i, o) in zip(pixels, projections, strict=True)) + 5120
    assert network_size(Cell(((0, 1), (0, 0)), ())) == (expected, macs)


def test_vertices_that_feed_the_output_share_its_channels_the_first_ones_taking_the_rest() -> None:
    matrix = ((0, 1, 1, 1, 1, 0), (0, 0, 1, 0, 0, 0), *3 * ((0, 0, 0, 0, 0, 1),), (0,) * 6)
    assert vertex_channels(matrix, 64, 128) == [64, 43, 43, 43, 42, 128]
