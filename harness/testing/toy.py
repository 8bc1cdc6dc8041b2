"""A small problem with an oracle, so that a method can be checked without data."""

from __future__ import annotations

from typing import Any

from harness.problem import Facts, MissingRecord, Problem
from harness.seeds import mix
from harness.space import Arch, InvalidArchitecture, SearchSpace
from harness.training import Meter, TrainingSide


class ToySpace(SearchSpace):
    """96 architectures: four positions with 4, 3, 2 and 4 choices, spelled ``3-0-1-2``."""

    name = "toy"
    cardinalities: tuple[int, ...] = (4, 3, 2, 4)

    def to_str(self, arch: Arch) -> str:
        return "-".join(map(str, arch))

    def from_str(self, text: str) -> Arch:
        parts = text.split("-")
        arch = tuple(int(part) for part in parts if part.isascii() and part.isdigit())
        if arch not in self or len(parts) != len(arch):
            raise InvalidArchitecture(f"{text!r} is not numbers such as 3-0-1-2")
        return arch


class ToyOracle:
    """Oracle with three recorded trainings per architecture and epoch, around a value that grows with every choice."""

    fidelities = tuple(range(1, 13))

    def __init__(self, world: int) -> None:
        self._world = world

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        if arch not in ToySpace():
            raise InvalidArchitecture(f"{arch!r} is not an architecture of toy")
        epochs = 12 if fidelity is None else fidelity
        if epochs not in self.fidelities:
            raise MissingRecord(f"no record after epoch {epochs}")
        trial = mix(self._world ^ hash((arch, epochs, asked))) % 3
        noise = (mix(hash((arch, epochs, trial))) % 1000) / 1000 - 0.5
        return 60.0 + 3.0 * sum(arch) + 0.5 * epochs + noise, 10.0 * epochs, float(epochs), 1e6 * epochs


class ToyProblem(Problem):
    """A problem with an oracle and without a judge; :meth:`Method.skip` may look at it."""

    space: SearchSpace = ToySpace()
    fidelities = ToyOracle.fidelities
    checksum = "toy"
    record = "drawn"
    facts = Facts("a toy table", "a toy validation accuracy", {})

    def oracle(self, world: int) -> ToyOracle:
        return ToyOracle(world)


class ToySharingSpace(ToySpace):
    """64 architectures: an operation on each of three edges."""

    name = "toy_sharing"
    cardinalities = (4, 4, 4)


class ToyTrainingSide(TrainingSide):
    """Training side that opens :class:`harness.testing.toy_sharing.ToyTask`."""

    def __call__(self, world: int, device: str, charge: Meter) -> Any:
        from harness.testing.toy_sharing import ToyTask

        return ToyTask(world, device, charge)


class ToySharingProblem(Problem):
    """A problem with a training side and without an oracle."""

    space = ToySharingSpace()
    fidelities = ()
    checksum = "toy"
    record = "none"
    facts = Facts("toy images", "a supernet on toy images", {})
    training = ToyTrainingSide()

    def oracle(self, world: int) -> None:
        return None
