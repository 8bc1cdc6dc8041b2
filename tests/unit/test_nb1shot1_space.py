"""The spaces of NAS-Bench-1Shot1: loose ends, mutation, and keeping to admitted topologies."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from harness.space import Arch, InvalidArchitecture

SPACES = {number: NB1Shot1Space(number) for number in PARENTS}
seeds = st.integers(0, 2**32)
numbers = st.sampled_from(list(PARENTS))


@given(numbers, seeds)
def test_number_and_architecture_are_inverse(number: int, seed: int) -> None:
    space = SPACES[number]
    arch = space.sample(random.Random(seed))
    assert space.at(space.index(arch)) == arch


@given(numbers, seeds)
def test_every_node_has_its_number_of_parents_and_the_cell_at_most_nine_edges(number: int, seed: int) -> None:
    space = SPACES[number]
    arch = space.sample(random.Random(seed))
    parents = space.parents(arch)
    assert tuple(map(len, parents)) == PARENTS[number]
    assert sum(map(len, parents)) == 9
    assert all(set(nodes) <= set(range(node)) for node, nodes in enumerate(parents, 1))


@given(numbers, seeds)
def test_loose_ends_make_no_difference(number: int, seed: int) -> None:
    space = SPACES[number]
    arch = space.sample(random.Random(seed))
    bare = space.without_loose_ends(arch)
    assert space.cell(bare) == space.cell(arch)
    assert space.canonical(bare) == space.canonical(arch)
    assert space.without_loose_ends(bare) == bare
    assert len(space.cell(arch).ops) == len(space.used(arch)) - 2


@given(numbers, seeds)
def test_what_does_not_reach_the_output_is_a_loose_end(number: int, seed: int) -> None:
    space = SPACES[number]
    arch = space.sample(random.Random(seed))
    for block in set(range(1, space.blocks + 1)) - space.used(arch):
        position = len(arch) - space.blocks + block - 1
        assert all(space.cell((*arch[:position], op, *arch[position + 1 :])) == space.cell(arch) for op in range(3))


@pytest.mark.parametrize("number", PARENTS)
def test_a_third_of_mutations_is_nothing_a_third_rewires_one_parent_and_a_third_changes_one_operation(number: int) -> None:
    space, rng = SPACES[number], random.Random(number)
    wirings = len(space.cardinalities) - space.blocks
    kinds: Counter[str] = Counter()
    positions: Counter[int] = Counter()
    for _ in range(6000):
        arch = space.sample(rng)
        child = space.mutate(arch, rng)
        changed = [position for position, (a, b) in enumerate(zip(arch, child, strict=True)) if a != b]
        kinds["nothing" if not changed else "wiring" if changed[0] < wirings else "operation"] += 1
        positions.update(changed)
        assert len(changed) <= 1
        for before, after in zip(space.parents(arch), space.parents(child), strict=True):
            assert len(set(before) - set(after)) == (1 if before != after else 0)
    assert all(abs(count - 2000) < 200 for count in kinds.values())
    for position, count in positions.items():
        assert abs(count - 2000 / (wirings if position < wirings else space.blocks)) < 150


@given(numbers, seeds, st.data())
def test_a_restricted_space_stays_inside_and_knows_what_lies_outside(number: int, seed: int, data: st.DataObject) -> None:
    full = SPACES[number]
    admitted = data.draw(st.lists(st.integers(0, full.topologies - 1), min_size=1, max_size=40, unique=True))
    space, rng = NB1Shot1Space(number, admitted), random.Random(seed)
    assert space.size == len(admitted) * 3**space.blocks

    def topology(arch: Arch) -> int:
        return full.index(arch) // full.assignments

    arch = space.sample(rng)
    assert topology(arch) in admitted
    assert topology(space.mutate(arch, rng)) in admitted
    around = set(space.neighbors(arch))
    assert around == {neighbor for neighbor in full.neighbors(arch) if topology(neighbor) in admitted}
    stranger = full.sample(rng)
    assert stranger in space
    assert space.admits(stranger) == (topology(stranger) in admitted)


def test_a_restricted_space_is_sampled_uniformly() -> None:
    space, rng = NB1Shot1Space(2, [3, 40, 359]), random.Random(0)
    drawn = Counter(space.index(space.sample(rng)) for _ in range(24_300))
    assert len(drawn) == space.size == 243
    assert all(abs(count - 100) < 60 for count in drawn.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("conv3x3(0) conv3x3(0,1) conv3x3(0,1) conv3x3(0,1)", "with 4 blocks"),
        ("conv5x5(0) conv3x3(0,1) conv3x3(0,1) conv3x3(0,1) output(0,1)", "no operation 'conv5x5'"),
        ("conv3x3(0) conv3x3(0,1) conv3x3(0,1) conv3x3(0,1) maxpool3x3(0,1)", "does not end with output"),
        ("conv3x3(0) conv3x3(0,1) conv3x3(0,3) conv3x3(0,1) output(0,1)", "node 3 takes 2 of the nodes 0 to 2"),
        ("conv3x3(0) conv3x3(0,1) conv3x3(1,0) conv3x3(0,1) output(0,1)", "ascending"),
        ("conv3x3(0) conv3x3(0,1) conv3x3(0) conv3x3(0,1) output(0,1)", "node 3 takes 2"),
    ],
)
def test_foreign_text_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidArchitecture, match=reason):
        SPACES[1].from_str(text)


@pytest.mark.parametrize("stranger", [(0,) * 6, (0,) * 8, (3, 0, 0, 0, 0, 0, 0), (0.0,) * 7, (-1,) + (0,) * 6, None])
def test_strangers_have_no_number(stranger: object) -> None:
    with pytest.raises(InvalidArchitecture, match="space 1"):
        SPACES[1].index(stranger)  # type: ignore[arg-type]


def test_there_is_no_architecture_beyond_the_last() -> None:
    with pytest.raises(InvalidArchitecture, match="outside 0 to 14579"):
        SPACES[1].at(14_580)


def test_one_architecture_in_thirty_is_a_convolution_next_to_the_input() -> None:
    space = NB1Shot1Space(1)
    simplest = space.canonical(space.from_str("conv3x3(0) conv3x3(0,1) conv3x3(0,1) conv3x3(0,1) output(0,1)"))
    assert sum(space.canonical(space.at(index)) == simplest for index in range(space.size)) == 486
