"""A table of 1 024 architectures, computed by a formula. Replace the formula by your recorded trainings.

An architecture has five operations, out of four. A query returns the validation accuracy of one of three recorded trainings and
charges its seconds. Only the judge knows the test accuracy, the mean of the three.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Mapping
from typing import Any

from harness.problem import Availability, Facts, Judge, MissingRecord, Problem
from harness.seeds import derive
from harness.space import Arch, InvalidArchitecture, SearchSpace

OPERATIONS = ("none", "skip", "conv", "pool")
EPOCHS = 20
TRAININGS = 3


class FiveOperations(SearchSpace):
    """Five positions; an architecture is spelled ``conv-skip-none-pool-conv``."""

    name = "my_benchmark"
    cardinalities = (len(OPERATIONS),) * 5

    def to_str(self, arch: Arch) -> str:
        return "-".join(OPERATIONS[operation] for operation in arch)

    def from_str(self, text: str) -> Arch:
        words = text.split("-")
        if len(words) != len(self.cardinalities) or not set(words) <= set(OPERATIONS):
            raise InvalidArchitecture(f"{text!r} is not five of {', '.join(OPERATIONS)} joined by '-'")
        return tuple(OPERATIONS.index(word) for word in words)


def records() -> dict[Arch, tuple[list[float], list[float], float]]:
    """Return validation accuracies and test accuracies of three trainings, and seconds, for each architecture."""
    table = {}
    for arch in itertools.product(range(len(OPERATIONS)), repeat=5):
        noise = random.Random(derive("my_benchmark", *arch))
        good = 60 + 5 * arch.count(2) + 2 * arch.count(3) + 4 * (arch[0] == 1 and arch[4] == 2)
        valid = [good + noise.gauss(0, 1) for _ in range(TRAININGS)]
        test = [good - 0.5 + noise.gauss(0, 0.5) for _ in range(TRAININGS)]
        table[arch] = (valid, test, 30.0 + 20.0 * arch.count(2))
    return table


class MyOracle:
    """The side of the search: what it may look up in a world."""

    fidelities: tuple[int, ...] = (EPOCHS,)

    def __init__(self, trainings: Mapping[Arch, tuple[list[float], float]], world: int) -> None:
        self._trainings, self._world = trainings, world

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Return validation accuracy (percent), seconds, epochs and multiply-adds."""
        if arch not in self._trainings:
            raise InvalidArchitecture(f"{arch!r} is not an architecture of my_benchmark")
        if fidelity not in (None, EPOCHS):
            raise MissingRecord(f"no record after {fidelity} epochs, only after {EPOCHS}")
        valid, seconds = self._trainings[arch]
        drawn = derive(self._world, "my_benchmark", *arch, asked) % TRAININGS
        return valid[drawn], seconds, float(EPOCHS), 1e6 * seconds


class MyJudge(Judge):
    """The side of the harness: test values, regret and rank."""

    stated_set = "all 1 024 architectures"

    def __init__(self, valid: Mapping[Arch, float], test: Mapping[Arch, float]) -> None:
        self._valid, self._test = valid, test
        self._ranks = {accuracy: rank for rank, accuracy in reversed(list(enumerate(sorted(test.values(), reverse=True), 1)))}
        self.optimum = {"images": max(test.values())}
        self.set_size = {"images": len(test)}

    def score(self, arch: Arch, world: int = 0) -> dict[str, dict[str, float]]:
        test = self._test[arch]
        regret, rank = self.optimum["images"] - test, float(self._ranks[test])
        return {"images": {"valid": self._valid[arch], "test": test, "regret": regret, "rank": rank}}


class MyProblem(Problem):
    """The opened table: the space, the oracle and the judge."""

    fidelities = (EPOCHS,)
    record = "drawn"
    facts = Facts(
        source="an invented table of 1 024 architectures",
        search=f"validation accuracy of one of three {EPOCHS}-epoch trainings",
        judge={"images": "test accuracy, mean of three trainings"},
    )

    def __init__(self) -> None:
        table = records()
        self.space = FiveOperations()
        self.checksum = hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest()
        self._trainings = {arch: (valid, seconds) for arch, (valid, _, seconds) in table.items()}
        means = {arch: (sum(valid) / TRAININGS, sum(test) / TRAININGS) for arch, (valid, test, _) in table.items()}
        self.judge = MyJudge({arch: mean[0] for arch, mean in means.items()}, {arch: mean[1] for arch, mean in means.items()})

    def oracle(self, world: int) -> MyOracle:
        return MyOracle(self._trainings, world)


class MyBenchmark:
    """The entry in the list of benchmarks."""

    id = "my_benchmark/images"
    kinds = ("multi-trial",)
    embedded = True

    def availability(self) -> Availability:
        return Availability(True, "bundled, 1 024 architectures")

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> MyProblem:
        return MyProblem()


def benchmarks() -> list[MyBenchmark]:
    """Return the benchmarks of this package: its entry point."""
    return [MyBenchmark()]
