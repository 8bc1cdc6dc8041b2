"""Counts of the 1Shot1 spaces and keys of NAS-Bench-101 that were published or derived independently."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nb1shot1.cell import prune
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from harness.cache import data_roots

COUNTS = {1: (180, 14_580, 2_685), 2: (360, 29_160, 7_773), 3: (5_400, 1_312_200, 55_854)}
WITHOUT_LOOSE_ENDS = {1: (66, 3_702), 2: (190, 12_474), 3: (876, 135_900)}


@pytest.mark.parametrize("number", PARENTS)
def test_topologies_architectures_and_distinct_cells(number: int) -> None:
    space = NB1Shot1Space(number)
    rows = distinct_cells().rows[number]
    assert (space.topologies, space.size, len(np.unique(rows))) == COUNTS[number]
    assert len(rows) == space.size


def test_the_three_spaces_reach_66111_cells_together() -> None:
    hashes = distinct_cells().hashes
    assert len(hashes) == len(set(hashes)) == 66_111
    assert hashes == sorted(hashes)
    assert len(np.unique(np.concatenate(list(distinct_cells().rows.values())))) == 66_111


@pytest.mark.parametrize("number", PARENTS)
def test_topologies_and_cells_without_loose_ends(number: int) -> None:
    space = NB1Shot1Space(number)
    wirings = {space.without_loose_ends(space.at(k * space.assignments)) for k in range(space.topologies)}
    cells = sum(3 ** (len(space.used(arch)) - 2) for arch in wirings)
    assert (len(wirings), cells) == WITHOUT_LOOSE_ENDS[number]


@pytest.mark.parametrize("number", PARENTS)
def test_an_architecture_finds_its_own_cell(number: int) -> None:
    space, rng, cells = NB1Shot1Space(number), random.Random(number), distinct_cells()
    for _ in range(300):
        arch = space.sample(rng)
        row = cells.rows[number][space.index(arch)]
        assert cells.hashes[row] == space.canonical(arch) == fingerprint(cells.cells[row])


def test_a_published_key() -> None:
    rows = ["0100110", "0010000", "0001001", "0000010", "0000010", "0000001", "0000000"]
    cell = prune([[int(edge) for edge in row] for row in rows], [0, 2, 0, 0, 1])
    assert fingerprint(cell) == "00005c142e6f48ac74fdcf73e3439874"


def published(name: str) -> Iterator[dict[str, Any]]:
    paths = [path for root in data_roots() for path in sorted(Path(root).rglob(name))]
    if not paths:
        pytest.skip(f"no {name} in NAS_DATA")
    import pyarrow.parquet

    columns = ["hash", "n_vertices", "adjacency_rowmajor", "ops_inner", "trainable_parameters"]
    yield from pyarrow.parquet.read_table(paths[0], columns=columns).to_pylist()


@pytest.mark.parametrize("name", ["nb101_cells_1shot1.parquet", "nb101_train_time_sample.parquet"])
@pytest.mark.slow
def test_keys_and_parameters_of_real_cells(name: str) -> None:
    for row in published(name):
        digits, size = [int(digit) for digit in row["adjacency_rowmajor"]], row["n_vertices"]
        cell = prune([digits[i * size : (i + 1) * size] for i in range(size)], [int(op) for op in row["ops_inner"]])
        assert fingerprint(cell) == row["hash"]
        assert network_size(cell)[0] == row["trainable_parameters"]


def test_topologies_have_their_published_numbers_and_parents() -> None:
    paths = [path for root in data_roots() for path in sorted(Path(root).rglob("nb1shot1_topologies.parquet"))]
    if not paths:
        pytest.skip("no nb1shot1_topologies.parquet in NAS_DATA")
    import pyarrow.parquet

    spaces = {number: NB1Shot1Space(number) for number in PARENTS}
    for row in pyarrow.parquet.read_table(paths[0]).to_pylist():
        space = spaces[row["search_space"]]
        arch = space.at(row["topology_id"] * space.assignments)
        assert "|".join(",".join(map(str, nodes)) for nodes in space.parents(arch)) == row["parents_node1_to_output"]
        assert len(space.used(arch)) - 2 == row["n_used_nodes"]
