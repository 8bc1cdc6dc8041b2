"""What every search space must do. Inherit, and set ``space``."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance import benchmarks as claims
from harness.space import Arch, InvalidArchitecture, SearchSpace

seeds = st.integers(0, 2**32)


class SpaceContract:
    space: SearchSpace

    def arch(self, seed: int) -> Arch:
        return self.space.sample(random.Random(seed))

    @given(seeds)
    def test_samples_are_hashable_members(self, seed: int) -> None:
        arch = self.arch(seed)
        assert arch in self.space
        assert {arch: 1}[tuple(arch)] == 1

    @given(seeds)
    def test_strings_round_trip(self, seed: int) -> None:
        claims.strings_round_trip(self.space, [self.arch(seed)])

    @given(seeds)
    def test_a_mutation_is_a_neighbour(self, seed: int) -> None:
        arch = self.arch(seed)
        assert self.space.mutate(arch, random.Random(seed + 1)) in set(self.space.neighbors(arch))

    @given(seeds)
    def test_neighbours_are_mutual_members_and_differ_in_one_position(self, seed: int) -> None:
        arch = self.arch(seed)
        around = list(self.space.neighbors(arch))
        assert len(set(around)) == len(around) == sum(n - 1 for n in self.space.cardinalities)
        for other in around:
            assert other in self.space
            assert sum(a != b for a, b in zip(arch, other, strict=True)) == 1
            assert arch in set(self.space.neighbors(other))

    @given(seeds, seeds)
    def test_the_canonical_name_depends_on_the_architecture_alone(self, one: int, two: int) -> None:
        a, b = self.arch(one), self.arch(two)
        if a == b:
            assert self.space.canonical(a) == self.space.canonical(b)

    def test_sampling_is_uniform_in_every_position(self) -> None:
        rng, n = random.Random(0), 6000
        samples = [self.space.sample(rng) for _ in range(n)]
        for position, choices in enumerate(self.space.cardinalities):
            for value in range(choices):
                share = sum(arch[position] == value for arch in samples) / n
                assert abs(share - 1 / choices) < 5 * (1 / choices / n) ** 0.5

    @pytest.mark.parametrize("stranger", [(), (0,) * 9, None, "x", (0.0,) * 6, (-1,) * 6, (99,) * 6, [0] * 6])
    def test_strangers_are_not_members(self, stranger: object) -> None:
        assert stranger not in self.space

    @given(st.text(st.characters(exclude_categories=["Nd"]), max_size=40))
    def test_foreign_text_is_refused_with_its_value(self, text: str) -> None:
        with pytest.raises(InvalidArchitecture) as refusal:
            self.space.from_str(text)
        assert repr(text)[:10] in str(refusal.value)
