"""Methods and search spaces name their papers, and methods the row that a report draws them with."""

from __future__ import annotations

import pytest

from benchmarks.darts.space import DartsSpace
from benchmarks.feature_maps.pool import PoolSpace
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201.space import NB201Space
from harness import registry
from harness.captions import base_row
from harness.space import SearchSpace
from reports import bibliography

SPACES = (NB201Space(), NB1Shot1Space(1), DartsSpace(), PoolSpace("pool", 4))


@pytest.mark.parametrize("name", sorted(registry.methods()))
def test_every_method_cites_entries_of_the_bibliography(name: str) -> None:
    info = registry.method(name)
    assert info.citations and set(info.citations) <= set(bibliography.entries())
    assert info.paper, "--list prints the reference"


@pytest.mark.parametrize("space", SPACES, ids=[space.name for space in SPACES])
def test_every_search_space_cites_entries_of_the_bibliography(space: SearchSpace) -> None:
    assert space.citations and set(space.citations) <= set(bibliography.entries())


def test_the_row_that_a_row_is_drawn_with_is_the_same_variant_if_there_is_one() -> None:
    methods = registry.methods()
    bases = {row: base for info in methods.values() for row in info.rows if (base := base_row(info, row, methods))}
    assert bases == {
        "gaea_darts:bilevel": "darts:bilevel",
        "gaea_darts:erm": "darts:erm",
        "gaea_gdas": "gdas",
        "gaea_gdas:released": "gdas",
        "gaea_pc_darts": "pc_darts",
        "xnas": "darts:bilevel",
    }
