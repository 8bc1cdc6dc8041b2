"""The contract of a search space as tests."""

from __future__ import annotations

import random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.space import Arch, InvalidArchitecture, SearchSpace
from harness.testing import benchmark_claims as claims

seeds = st.integers(0, 2**32)
inherited = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
"""Several classes run the same test, and speed is not tested here."""


class SpaceContract:
    """What every search space must do. Inherit, and set :attr:`space`."""

    space: ClassVar[SearchSpace]

    def arch(self, seed: int) -> Arch:
        """Return the architecture that the space samples with this seed."""
        return self.space.sample(random.Random(seed))

    @inherited
    @given(seeds)
    def test_samples_are_hashable_members(self, seed: int) -> None:
        arch = self.arch(seed)
        assert arch in self.space
        assert {arch: 1}[tuple(arch)] == 1

    @inherited
    @given(seeds)
    def test_strings_round_trip(self, seed: int) -> None:
        claims.strings_round_trip(self.space, [self.arch(seed)])

    @inherited
    @given(seeds)
    def test_a_mutation_is_a_neighbour(self, seed: int) -> None:
        arch = self.arch(seed)
        assert self.space.mutate(arch, random.Random(seed + 1)) in set(self.space.neighbors(arch))

    @inherited
    @given(seeds)
    def test_neighbours_are_mutual_members_and_differ_in_one_position(self, seed: int) -> None:
        arch = self.arch(seed)
        around = list(self.space.neighbors(arch))
        assert len(set(around)) == len(around) == sum(n - 1 for n in self.space.cardinalities)
        for neighbour in around:
            assert neighbour in self.space
            assert sum(a != b for a, b in zip(arch, neighbour, strict=True)) == 1
            assert arch in set(self.space.neighbors(neighbour))

    @inherited
    @given(seeds, seeds)
    def test_the_canonical_name_depends_on_the_architecture_alone(self, first: int, second: int) -> None:
        a, b = self.arch(first), self.arch(second)
        if a == b:
            assert self.space.canonical(a) == self.space.canonical(b)

    def test_sampling_is_uniform_in_every_position(self) -> None:
        rng, n = random.Random(0), 6000
        samples = [self.space.sample(rng) for _ in range(n)]
        for position, choices in enumerate(self.space.cardinalities):
            for value in range(choices):
                share = sum(arch[position] == value for arch in samples) / n
                assert abs(share - 1 / choices) < 5 * (1 / choices / n) ** 0.5

    def test_strangers_are_not_members(self) -> None:
        n = len(self.space.cardinalities)
        too_large = tuple(self.space.cardinalities)
        strangers = ((), (0,) * (n + 1), None, "x", (0.0,) * n, (-1,) * n, too_large, [0] * n)
        assert [stranger for stranger in strangers if stranger in self.space] == []

    @inherited
    @given(st.text(st.characters(exclude_categories=["Nd"]), max_size=40))
    def test_foreign_text_is_refused_with_its_value(self, text: str) -> None:
        with pytest.raises(InvalidArchitecture) as refusal:
            self.space.from_str(text)
        assert repr(text)[:10] in str(refusal.value)
