"""Search spaces state their architectures as graphs that a report can draw."""

from __future__ import annotations

import random

import pytest

from benchmarks.darts.space import DartsSpace
from benchmarks.feature_maps.pool import PoolSpace
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201.space import NB201Space
from harness.graphs import Edge
from harness.space import SearchSpace

DRAWN = (NB201Space(), *(NB1Shot1Space(number) for number in (1, 2, 3)), DartsSpace(), DartsSpace("mixed"))


@pytest.mark.parametrize("space", DRAWN, ids=lambda space: f"{space.name}-{len(space.cardinalities)}-{space.size}")
def test_edges_lead_from_earlier_to_later_nodes_and_carry_known_operations(space: SearchSpace) -> None:
    rng = random.Random(0)
    assert space.depiction is not None
    for _ in range(50):
        for graph in space.graphs(space.sample(rng)):
            assert all(0 <= edge.source < edge.target < len(graph.nodes) for edge in graph.edges)
            assert all(edge.target >= graph.inputs for edge in graph.edges)
            assert {edge.operation for edge in graph.edges} <= {"", *space.depiction.operations}
            assert any(edge.target == len(graph.nodes) - 1 for edge in graph.edges), "the output is reached"


def test_a_cell_of_nas_bench_201_has_an_operation_on_each_of_six_edges() -> None:
    space = NB201Space()
    (graph,) = space.graphs(space.from_str("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"))
    assert graph.edges == (
        Edge(0, 1, "nor_conv_3x3"), Edge(0, 2, "none"), Edge(1, 2, "nor_conv_1x1"), Edge(0, 3, "skip_connect"),
        Edge(1, 3, "avg_pool_3x3"), Edge(2, 3, "none"),
    )  # fmt: skip


def test_a_cell_of_nas_bench_1shot1_has_its_operations_in_the_nodes_and_no_loose_ends() -> None:
    space = NB1Shot1Space(1)
    text = "conv3x3(0) conv1x1(0,1) maxpool3x3(0,1) conv3x3(0,2) output(1,4)"
    (graph,) = space.graphs(space.from_str(text))
    assert graph.nodes == ("in", "conv 3", "conv 1", "max", "conv 3", "out")
    pairs = [(edge.source, edge.target) for edge in graph.edges]
    assert pairs == [(0, 1), (0, 2), (1, 2), (0, 4), (2, 4), (1, 5), (4, 5)], "block 3 does not reach the output"


def test_a_space_without_a_depiction_has_no_graphs() -> None:
    space = PoolSpace("pool", 4)
    assert space.depiction is None and space.graphs((1,)) == ()
