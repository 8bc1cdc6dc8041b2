from benchmarks.nb201.space import NB201Space
from harness.conformance import ToySpace
from tests.contract.spaces import SpaceContract


class TestNB201Space(SpaceContract):
    space = NB201Space()


class TestToySpace(SpaceContract):
    space = ToySpace()
