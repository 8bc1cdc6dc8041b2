import random

from hypothesis import given

from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201.space import NB201Space
from harness.testing.suites.spaces import SpaceContract, seeds
from harness.testing.toy import ToySpace


class TestNB201Space(SpaceContract):
    space = NB201Space()


class TestNB1Shot1Space1(SpaceContract):
    space = NB1Shot1Space(1)

    @given(seeds)
    def test_a_mutation_is_a_neighbour(self, seed: int) -> None:
        """Or the architecture itself: a third of the paper's mutations change nothing."""
        arch = self.arch(seed)
        assert self.space.mutate(arch, random.Random(seed + 1)) in {arch, *self.space.neighbors(arch)}


class TestNB1Shot1Space2(TestNB1Shot1Space1):
    space = NB1Shot1Space(2)


class TestNB1Shot1Space3(TestNB1Shot1Space1):
    space = NB1Shot1Space(3)


class TestToySpace(SpaceContract):
    space = ToySpace()
