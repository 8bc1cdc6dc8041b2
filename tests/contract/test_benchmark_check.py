"""``--check`` of a benchmark notices what breaks the contract, for a benchmark from outside."""

from __future__ import annotations

import dataclasses
import importlib.util
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.conformance import of
from harness.conformance.benchmarks import check
from harness.errors import UserError

FILE = Path(__file__).parents[2] / "examples" / "my_benchmark" / "my_benchmark" / "benchmark.py"


@pytest.fixture
def example() -> Any:
    """A fresh copy of the example's module."""
    spec = importlib.util.spec_from_file_location("the_example", FILE)
    assert spec is not None and spec.loader is not None
    module = sys.modules["the_example"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(example: Any) -> list[str]:
    return [claim.problem for claim in check(example.MyBenchmark()) if claim.problem]


def test_the_example_keeps_it(example: Any) -> None:
    assert not problems(example)


def measured(change: Callable[[tuple[float, float, float, float]], tuple[float, ...]]) -> Callable[[Any], None]:
    def apply(example: Any) -> None:
        real = example.MyOracle.measure
        example.MyOracle.measure = lambda self, arch, fidelity, asked: change(real(self, arch, fidelity, asked))

    return apply


def scored(**change: float) -> Callable[[Any], None]:
    def apply(example: Any) -> None:
        real = example.MyJudge.score
        example.MyJudge.score = lambda self, arch, world=0: {"images": {**real(self, arch)["images"], **change}}

    return apply


def spelt(example: Any) -> None:
    example.FiveOperations.to_str = lambda self, arch: "-".join(example.OPERATIONS[min(op, 2)] for op in arch)


def leaking(example: Any) -> None:
    real = example.MyProblem.oracle

    def oracle(self: Any, world: int) -> Any:
        made = real(self, world)
        made.convenient = self.judge
        return made

    example.MyProblem.oracle = oracle


def drawn_as_mean(example: Any) -> None:
    example.MyProblem.record = "mean"


def contains_all(example: Any) -> None:
    example.FiveOperations.__contains__ = lambda self, arch: True


def mutant(example: Any) -> None:
    example.FiveOperations.mutate = lambda self, arch, rng: self.sample(rng)


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        (measured(lambda one: (one[0] + random.random(), *one[1:])), "asked in another order, it answers otherwise"),
        (measured(lambda one: (one[0], 0.0, *one[2:])), "costs 0.0 s"),
        (measured(lambda one: (one[0] * 2, *one[1:])), "the accuracy of"),
        (scored(regret=-1.0), "the regret of"),
        (scored(rank=1.0), "and rank 1.0"),
        (spelt, "is read as"),
        (leaking, "the view leads to the test accuracies"),
        (drawn_as_mean, "two worlds answer differently"),
        (contains_all, "it contains ()"),
        (mutant, "is no neighbour"),
    ],
)
def test_a_broken_benchmark_is_told_what_it_breaks(breakage: Callable[[Any], None], words: str, example: Any) -> None:
    breakage(example)
    assert any(words in problem for problem in problems(example)), problems(example)


def test_what_cannot_be_opened_is_one_line(example: Any) -> None:
    example.MyProblem.facts = dataclasses.asdict(example.MyProblem.facts)
    with pytest.raises(UserError, match=r"my_benchmark/images: its problem's facts must be a Facts"):
        problems(example)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("random_serch", "no method 'random_serch'; did you mean"),
        ("nb201/digit", "no benchmark 'nb201/digit'; did you mean"),
        ("not_there.module:benchmarks", "gives no benchmarks: ModuleNotFoundError"),
        ("json:nothing", "gives no benchmarks: AttributeError"),
        ("./nowhere.py", "no method file"),
    ],
)
def test_what_is_not_there_is_named(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        list(of(name))


def test_the_training_side_is_said_not_to_be_checked() -> None:
    ((name, claims),) = of("darts/digits")
    assert name == "darts/digits"
    assert [claim.text.partition(":")[0] for claim in claims if not claim.checked] == ["its oracle", "its training side"]
