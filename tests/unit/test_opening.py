"""A benchmark is checked when it is opened: what is missing is one line, before any run."""

from __future__ import annotations

from typing import Any

import pytest

from harness import registry
from harness.errors import UserError
from harness.opening import open_benchmark
from harness.problem import Facts, Judge, Problem
from harness.space import Arch
from harness.testing.toy import ToySpace


class MadeJudge(Judge):
    def __init__(self) -> None:
        self.optimum, self.set_size, self.stated_set = {"t": 1.0}, {"t": 3}, "all"

    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        return {}


class MadeProblem(Problem):
    def __init__(self) -> None:
        self.space, self.judge = ToySpace(), MadeJudge()
        self.fidelities, self.checksum, self.record = (1,), "c", "drawn"
        self.facts = Facts("a table", "a value", {"t": "test"})

    def oracle(self, world: int) -> None:
        return None


def problem_with(**changes: Any) -> MadeProblem:
    problem = MadeProblem()
    judge = problem.judge
    for path, value in changes.items():
        *way, name = path.split("__")
        holder = judge if way else problem
        setattr(holder, name, value) if value is not ... else delattr(holder, name)
    return problem


def opened(problem: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    class Toy:
        id = "mine/toy"

        def open(self, search: object, judge: object) -> Any:
            return problem() if callable(problem) else problem

    monkeypatch.setattr(registry, "benchmark", lambda name: Toy())
    return open_benchmark("mine/toy", {}, {})


def test_a_complete_problem_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_with()
    assert opened(problem, monkeypatch) is problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"facts": ...}, "its problem has no facts, a Facts"),
        ({"facts": {"search": "x"}}, r"its problem's facts must be a Facts, not \{'search'"),
        ({"facts": Facts("a", "b", {"other": "x"})}, "facts.judge says nothing of the judge's target 't'"),
        ({"facts": Facts(None, "b", {"t": "x"})}, "facts.source must be a str, not None"),  # type: ignore[arg-type]
        ({"judge": ...}, "its problem has no judge"),
        ({"judge__optimum": ...}, "its problem has no judge.optimum"),
        ({"judge__set_size": {}}, "set_size has no target 't'"),
        ({"judge": 3}, "judge must be a Judge, not 3"),
        ({"space": "nb201"}, "space must be a SearchSpace, not 'nb201'"),
        ({"checksum": ""}, "checksum is empty"),
        ({"fidelities": [1]}, r"fidelities must be a tuple, not \[1\]"),
        ({"training": print}, "training must be a TrainingSide or None, not <built-in"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"^mine/toy: .*{words}") as refusal:
        opened(problem_with(**changes), monkeypatch)
    assert "\n" not in str(refusal.value)


def test_a_problem_inherits_from_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"mine/toy: its open\(\) must return a harness.problem.Problem, not 'a table'"):
        opened("a table", monkeypatch)
    with pytest.raises(TypeError, match="abstract method"):
        type("Forgetful", (Problem,), {})()


def test_a_benchmark_that_fails_to_open_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    search: dict[str, Any] = {}

    def fails() -> None:
        raise ZeroDivisionError("division\nby zero")

    with pytest.raises(UserError, match="mine/toy cannot be opened: ZeroDivisionError: division by zero"):
        opened(fails, monkeypatch)
    with pytest.raises(UserError, match="mine/toy needs 'recipe' in the search or the judge table of its protocol"):
        opened(lambda: search["recipe"], monkeypatch)
