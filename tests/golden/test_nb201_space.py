"""Counts and orders that the benchmark's authors published."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.nb201.space import NB201Space, official_number, official_order

SPACE = NB201Space()


def test_there_are_15625_cells_of_which_6466_are_unique() -> None:
    assert SPACE.size == len(set(official_order())) == 15_625
    assert [official_number(arch) for arch in official_order()] == list(range(15_625))
    assert len({SPACE.canonical(arch) for arch in official_order()}) == 6_466


def test_the_official_order_begins_as_published() -> None:
    first = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    second = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    assert [SPACE.to_str(SPACE.at(i)) for i in (0, 1)] == [first, second]
    assert SPACE.index(SPACE.from_str(second)) == 1


def test_index_and_cell_are_inverse() -> None:
    assert all(SPACE.index(SPACE.at(i)) == i for i in range(SPACE.size))


def test_the_all_skip_cell_is_1835() -> None:
    assert SPACE.index((1,) * 6) == 1835


def test_the_canonical_form_is_the_official_unique_string() -> None:
    structure = pytest.importorskip("nats_bench.genotype_utils").topology_str2structure
    for arch in official_order()[::7]:
        assert SPACE.canonical(arch) == structure(SPACE.to_str(arch)).to_unique_str(consider_zero=True)


def test_341_cells_have_no_live_path() -> None:
    def live(arch: tuple[int, ...]) -> bool:
        nodes = [True]
        for node in (1, 2, 3):
            start = node * (node - 1) // 2
            nodes.append(any(arch[start + source] != 0 and nodes[source] for source in range(node)))
        return nodes[3]

    assert Counter(map(live, official_order()))[False] == 341
