"""Drawings of cells: every edge has its place, labels do not cover each other, and a page is not higher than it may be."""

from __future__ import annotations

import itertools
import random
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.darts.space import DartsSpace
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201.space import NB201Space
from harness import registry
from harness.analysis.evidence import Cell, Edge, Operation
from harness.analysis.names import row_names
from harness.frames import depict
from harness.space import SearchSpace
from reports import sketches
from reports.sketches import Sketch

SPACES = (NB201Space(), NB1Shot1Space(3), DartsSpace(), DartsSpace("multi"), RnnSpace())
ACROSS = {"nb201": 3, "darts_rnn": 1}
"""Cells of a space that are side by side, if they are not two."""
POINT = 1 / 72


def cells(space: SearchSpace, count: int = 12) -> list[Cell]:
    rng = random.Random(0)
    texts = [space.to_str(space.sample(rng)) for _ in range(count)]
    drawn = depict(space, texts).drawn
    return [cell for text in texts for cell in drawn[text]]


@pytest.mark.parametrize("space", SPACES, ids=[str(place) for place in range(len(SPACES))])
def test_labels_of_edges_do_not_cover_each_other_or_a_node(space: SearchSpace) -> None:
    width = sketches.WIDTH / ACROSS.get(space.name, 2)
    for cell in cells(space):
        places = sketches._places(cell, width)
        boxes = [(x, y, *sketches._size(cell.nodes[node])) for node, (x, y) in places.items()]
        boxes += [box for box in sketches.label_boxes(cell, places).values() if box[2]]
        for (x, y, wide, tall), (u, v, broad, high) in itertools.combinations(boxes, 2):
            assert abs(x - u) >= (wide + broad) / 2 - 0.04 or abs(y - v) >= (tall + high) / 2 - 0.04, (cell, x, y, u, v)


@pytest.mark.parametrize("space", SPACES[:3], ids=["nb201", "nb1shot1", "darts"])
def test_no_label_lies_on_the_arrow_of_another_edge(space: SearchSpace) -> None:
    width = sketches.WIDTH / ACROSS.get(space.name, 2)
    for cell in cells(space):
        places = sketches._places(cell, width)
        ways = {edge: sketches.points(way, np.linspace(0, 1, 200)) for edge, way in sketches.curves(cell, places).items()}
        for edge, (x, y, wide, tall) in sketches.label_boxes(cell, places).items():
            for other, way in ways.items():
                covered = (np.abs(way - [x, y]) < (wide / 2 - 0.02, tall / 2 - 0.01)).all(axis=1)
                assert other == edge or not covered.any(), (cell, edge, other)


def test_the_outline_of_a_cell_has_its_nodes_edges_and_labels() -> None:
    operation = Operation("conv", "conv 3×3", "convolution")
    drawn = sketches.outline(Cell(("0", "1", "2"), (Edge(0, 1, operation), Edge(0, 2, operation), Edge(1, 2)), "normal"))
    width, height = drawn["size"]
    assert drawn["name"] == "normal" and [node[-1] for node in drawn["nodes"]] == ["0", "1", "2"]
    assert all(0 <= x <= width and 0 <= y <= height for x, y, *_ in drawn["nodes"])
    assert sorted(line[-1] for line in drawn["lines"] if not line[1]) == ["conv 3×3", "conv 3×3"]
    assert [line[1] for line in drawn["lines"]].count(True) == 1, "edges that only pass on are one dotted line"


def test_arcs_pass_above_and_below_the_nodes_between_their_ends() -> None:
    operation = Operation("conv", "conv", "convolution")
    edges = tuple(Edge(*ends, operation) for ends in itertools.combinations(range(4), 2))
    arcs = sketches.arcs(Cell(("0", "1", "2", "3"), edges))
    assert [ends for ends, height in arcs.items() if height == 0] == [(0, 1), (1, 2), (2, 3)]
    assert arcs[0, 3] > arcs[0, 2] > 0 > arcs[1, 3], "no two arcs of a NAS-Bench-201 cell cross"


def test_nodes_that_nothing_reaches_are_left_out_and_zeros_are_no_edges() -> None:
    zero = Operation("none", "none", "zero")
    cell = Cell(("in", "a", "b", "out"), (Edge(0, 1), Edge(1, 3), Edge(0, 3, zero)))
    assert set(sketches._places(cell, 3.0)) == {0, 1, 3}
    assert set(sketches.arcs(cell)) == {(0, 1), (1, 3)}


def test_edges_that_leave_a_node_which_no_input_reaches_are_left_out() -> None:
    operation = Operation("conv", "conv", "convolution")
    ends = [(0, 3), (2, 4), (1, 4), (3, 5), (4, 5), (2, 5)]
    cell = Cell(("k−2", "k−1", "0", "1", "2", "out"), tuple(Edge(*pair, operation) for pair in ends), inputs=2)
    assert [edge[:2] for edge in sketches.reached(cell).edges] == [(0, 3), (1, 4), (3, 5), (4, 5)]
    full = cells(DartsSpace(), 1)[0]
    assert sketches.reached(full) == full


def test_more_operations_than_are_legible_are_counted() -> None:
    edges = [Edge(0, 1, Operation(str(place), f"op {place}")) for place in range(4)]
    assert sketches.labels(Cell(("in", "out"), tuple(edges[:3]))) == {(0, 1): "op 0\nop 1\nop 2"}
    assert sketches.labels(Cell(("in", "out"), tuple(edges))) == {(0, 1): "4 ops"}


def test_a_figure_has_pages_and_marks_the_titles_with_their_rows() -> None:
    drawn = [Sketch("darts:erm", f"DARTS & $x_{place}^$", cell) for place, cell in enumerate(cells(DartsSpace(), 8))]
    files = sketches.render(drawn)
    sizes = [
        [float(size) for size in box.split()[2:]]
        for box in re.findall(r"/MediaBox \[([^\]]*)\]", files["pdf"].decode("latin-1"))
    ]
    assert len(sizes) > 1 and all(tall <= sketches.PAGE / POINT and wide <= sketches.WIDTH / POINT for wide, tall in sizes)
    groups = [element.get("id") for element in ElementTree.fromstring(files["svg"]).iter() if element.get("id")]
    assert groups.count("row=darts:erm") == len(drawn)
    assert files["png"].startswith(b"\x89PNG")
    assert sketches.render(drawn[:1]) == sketches.render(drawn[:1])


def test_every_row_has_a_name_and_no_two_have_the_same() -> None:
    rows = {row for info in registry.methods().values() for row in info.rows}
    names = row_names()
    assert rows <= set(names) and set(names) <= rows | set(registry.methods())
    assert len({names[row] for row in rows - {"hyperband:random_search"}}) == len(rows) - 1
