"""The DARTS space: its families, the genotype's text, moves, and what counts as the same cell."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.darts.cell import EDGE, EDGES, OPS, cell_of, inputs, pruned, surviving
from benchmarks.darts.published import about, named, published
from benchmarks.darts.space import DartsSpace, belongs, cells
from harness.errors import UserError
from harness.space import Arch, InvalidArchitecture
from harness.testing.suites.spaces import SpaceContract, seeds

SPACES = {family: DartsSpace(family) for family in ("single", "multi", "mixed")}
families = st.sampled_from(list(SPACES))
SKIP, SEP3 = OPS.index("skip_connect"), OPS.index("sep_conv_3x3")


class DartsSpaceContract(SpaceContract):
    @given(seeds)
    @settings(max_examples=20, deadline=None)
    def test_neighbours_are_mutual_members_and_differ_in_one_position(self, seed: int) -> None:
        """Or, where an input moves to another predecessor, in two."""
        arch = self.arch(seed)
        around = list(self.space.neighbors(arch))
        assert len(set(around)) == len(around)
        for other in random.Random(seed).sample(around, 10):
            assert other in self.space
            assert 1 <= sum(a != b for a, b in zip(arch, other, strict=True)) <= 2
            assert arch in set(self.space.neighbors(other))

    def test_sampling_is_uniform_in_every_position(self) -> None:
        """In every bit: the share of each operation on each edge of a node is that of all members."""
        assert isinstance(self.space, DartsSpace)
        rng, n = random.Random(0), 3000
        samples = [self.space.sample(rng) for _ in range(n)]
        for position, (target, _) in enumerate(EDGES * 2):
            expected = 2 / target / len(OPS) if self.space.family == "single" else 0.5
            for op in range(len(OPS)):
                share = sum(arch[position] >> op & 1 for arch in samples) / n
                assert abs(share - expected) < 5 * (expected * (1 - expected) / n) ** 0.5


class TestSinglePath(DartsSpaceContract):
    space = SPACES["single"]


class TestMultiPath(DartsSpaceContract):
    space = SPACES["multi"]


class TestMixedPath(DartsSpaceContract):
    space = SPACES["mixed"]


def test_there_are_as_many_single_path_cells_as_the_papers_say() -> None:
    assert SPACES["single"].size == (1 * 3 * 6 * 10 * 7**8) ** 2  # DARTS: about 10^18
    assert len(list(SPACES["single"].neighbors(published()["DARTS_V2"]))) == 2 * (4 * 2 * 6 + 2 * (1 + 2 + 3))


def test_sizes_are_those_of_an_enumeration_with_one_operation_and_fewer_nodes() -> None:
    """The counting rules on a cell small enough to count: two nodes, five edges, one operation."""
    every = [tuple(bits) + (0,) * 9 for bits in itertools.product((0, 1), repeat=5)]
    assert sum(bool(surviving(cell)) for cell in every) == 2**5 - 2 ** (5 - 4)
    assert SPACES["mixed"].size == (2 ** (7 * 14) - 2 ** (7 * 6)) ** 2
    assert SPACES["multi"].size == ((2**14 - 1) * (2**21 - 1) * (2**28 - 1) * (2**35 - 1)) ** 2


@given(seeds)
def test_every_family_contains_the_one_before(seed: int) -> None:
    single, multi = (SPACES[family].sample(random.Random(seed)) for family in ("single", "multi"))
    assert single in SPACES["multi"] and single in SPACES["mixed"] and multi in SPACES["mixed"]
    assert multi not in SPACES["single"]


@given(seeds)
def test_a_space_that_accepts_more_still_samples_and_moves_in_its_own_family(seed: int) -> None:
    rng, space = random.Random(seed), DartsSpace("single", accepts="mixed")
    arch = space.sample(rng)
    assert arch in SPACES["single"] and space.mutate(arch, rng) in SPACES["single"]
    guest = SPACES["mixed"].sample(rng)
    assert guest in space and space.mutate(guest, rng) in space
    assert space.size == SPACES["single"].size


def test_a_mutation_changes_each_node_of_each_cell_equally_often() -> None:
    rng, arch = random.Random(1), published()["DARTS_V1"]
    changed: Counter[int] = Counter()
    for _ in range(4000):
        child = SPACES["single"].mutate(arch, rng)
        position = next(i for i, (a, b) in enumerate(zip(arch, child, strict=True)) if a != b)
        changed[(position // len(EDGES)) * 6 + EDGES[position % len(EDGES)][0]] += 1
    assert len(changed) == 8
    assert all(abs(count - 500) < 110 for count in changed.values())


@given(families, seeds)
@settings(max_examples=30, deadline=None)
def test_the_order_of_nodes_makes_no_difference_to_the_canonical_name(family: str, seed: int) -> None:
    rng = random.Random(seed)
    arch = SPACES[family].sample(rng)
    normal, reduce = cells(arch)
    moved = _reordered(normal, rng)
    assert SPACES["mixed"].canonical((*moved, *reduce)) == SPACES["mixed"].canonical(arch)
    assert len(surviving(moved)) == len(surviving(normal))


def _reordered(cell: tuple[int, ...], rng: random.Random) -> tuple[int, ...]:
    """The same graph with its nodes in another order in which edges run forward."""
    sources = {node: {source for _, source in inputs(cell, node)} for node in range(2, 6)}
    orders = [
        order
        for order in itertools.permutations(range(2, 6))
        if all(source < 2 or order.index(source) < order.index(node) for node in order for source in sources[node])
    ]
    order = rng.choice(orders)
    place = {0: 0, 1: 1, **{node: 2 + i for i, node in enumerate(order)}}
    return cell_of([[(op, place[source]) for op, source in inputs(cell, node)] for node in order])


def test_different_cells_have_different_canonical_names() -> None:
    """Exchanging the inputs of the cell, unlike exchanging nodes, makes another network."""
    cell = cell_of([[(SKIP, 0)], [(SEP3, 1)], [], []])
    swapped = cell_of([[(SKIP, 1)], [(SEP3, 0)], [], []])
    same = cell_of([[], [(SEP3, 1)], [], [(SKIP, 0)]])
    name = {normal: SPACES["mixed"].canonical((*normal, *cell)) for normal in (cell, swapped, same)}
    assert name[cell] == name[same] != name[swapped]


def test_what_reads_a_vanished_node_is_pruned() -> None:
    cell = cell_of([[(SKIP, 0)], [], [(SEP3, 3)], [(SKIP, 3), (SEP3, 2)]])
    assert surviving(cell) == (2, 5)
    assert pruned(cell) == cell_of([[(SKIP, 0)], [], [], [(SEP3, 2)]])
    space = SPACES["mixed"]
    assert space.canonical((*cell, *cell)) == space.canonical((*pruned(cell), *pruned(cell)))
    assert "normal_concat=[2, 5]" in space.to_str((*cell, *cell))
    assert space.from_str(space.to_str((*cell, *cell))) == (*cell, *cell)


def test_edges_are_in_the_order_of_the_papers_matrices() -> None:
    assert EDGES[:5] == ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2)) and len(EDGES) == 14
    assert EDGE[5, 4] == 13


def test_published_cells_are_of_the_family_of_their_paper() -> None:
    assert len(published()) == 10 and published().keys() == about().keys()
    for name, arch in published().items():
        assert arch in SPACES["multi"]
        assert (arch in SPACES["single"]) == (name != "CONAS_1"), name


def test_the_published_conas_cell_has_the_inputs_that_its_authors_count() -> None:
    normal, reduce = cells(published()["CONAS_1"])
    assert [len(inputs(normal, node)) for node in range(2, 6)] == [3, 1, 1, 2]
    assert [len(inputs(reduce, node)) for node in range(2, 6)] == [3, 2, 2, 5]


def test_a_genotype_reads_as_papers_print_it() -> None:
    arch = published()["DARTS_V1"]
    text = SPACES["single"].to_str(arch)
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ")
    assert text.endswith("reduce_concat=range(2, 6))")
    assert SPACES["single"].from_str(text.replace("range(2, 6)", "[2, 3, 4, 5]").replace(", ", ",\n  ")) == arch
    assert named(text) == named("darts-v1") == arch


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("('sep_conv_3x3', 0)", "('sep_conv_7x7', 0)", "no operation 'sep_conv_7x7'"),
        ("('sep_conv_3x3', 0)", "('none', 0)", "an edge with none is left out"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", "node 2: predecessor 2 is not one of 0 to 1"),
        ("('sep_conv_3x3', 0), ", "", "lists 7 operations"),
        ("('sep_conv_3x3', 0), ", "('sep_conv_3x3', 1), ", "sep_conv_3x3 on predecessor 1 twice"),
        ("('sep_conv_3x3', 0), ", "('skip_connect', 1), ", "every node has two inputs, from different predecessors"),
        ("normal_concat=range(2, 6)", "normal_concat=[2, 3]", "the nodes that the cell inputs reach are [2, 3, 4, 5]"),
        ("normal_concat=range(2, 6), ", "", "it has no normal_concat"),
        ("(normal=", "(usual=", "it has no normal"),
        ("range(2, 6)", "open('x')", "open('x') is no plain list"),
        ("reduce_concat", "extra=1, reduce_concat", "extra is no field"),
        ("Genotype(", "print(", "not of the form Genotype("),
    ],
)
def test_a_wrong_genotype_says_what_is_wrong(old: str, new: str, reason: str) -> None:
    text = SPACES["single"].to_str(published()["DARTS_V2"]).replace(old, new, 1)
    with pytest.raises(InvalidArchitecture) as refusal:
        SPACES["single"].from_str(text)
    assert reason in str(refusal.value)


def test_an_unknown_name_of_a_cell_suggests_one() -> None:
    with pytest.raises(UserError, match="did you mean DARTS_V2"):
        named("DART_V2")


@given(families, seeds)
def test_belonging_is_what_the_family_says(family: str, seed: int) -> None:
    arch: Arch = SPACES[family].sample(random.Random(seed))
    for cell in cells(arch):
        counts = [len(inputs(cell, node)) for node in range(2, 6)]
        assert belongs(cell, "multi") == all(counts)
        assert not belongs(cell, "single") or counts == [2, 2, 2, 2]
