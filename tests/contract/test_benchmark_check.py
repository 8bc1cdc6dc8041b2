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

from harness.errors import UserError
from harness.testing.benchmark_claims import check
from harness.testing.check import claims_of

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


def misspelt(example: Any) -> None:
    example.FiveOperations.to_str = lambda self, arch: "-".join(example.OPERATIONS[min(op, 2)] for op in arch)


def leaking(example: Any) -> None:
    real = example.MyProblem.oracle

    def oracle(self: Any, world: int) -> Any:
        opened = real(self, world)
        opened.convenient = self.judge
        return opened

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
        (measured(lambda values: (values[0] + random.random(), *values[1:])), "in another order of queries it returns other"),
        (measured(lambda values: (values[0], 0.0, *values[2:])), "costs 0.0 s"),
        (measured(lambda values: (values[0] * 2, *values[1:])), "the accuracy of"),
        (scored(regret=-1.0), "the regret of"),
        (scored(rank=1.0), "and rank 1.0"),
        (misspelt, "is read as"),
        (leaking, "the view leads to the test accuracies"),
        (drawn_as_mean, "two worlds differ"),
        (contains_all, "it contains ()"),
        (mutant, "is no neighbour"),
    ],
)
def test_the_check_says_what_a_broken_benchmark_breaks(breakage: Callable[[Any], None], words: str, example: Any) -> None:
    breakage(example)
    assert any(words in problem for problem in problems(example)), problems(example)


def test_a_benchmark_that_cannot_be_opened_is_one_line(example: Any) -> None:
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
def test_a_missing_name_is_named(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        list(claims_of(name))


def test_the_training_side_is_listed_as_not_checked() -> None:
    ((name, claims),) = claims_of("darts/digits")
    assert name == "darts/digits"
    assert [claim.text.partition(":")[0] for claim in claims if not claim.checked] == ["its oracle", "its training side"]
