"""A benchmark is checked when it is opened: what is missing is one line, before any run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness import registry
from harness.opening import open_benchmark
from harness.problem import Facts, UserError
from harness.testing.toy import ToySpace


def made(**changes: Any) -> SimpleNamespace:
    judge = SimpleNamespace(optimum={"t": 1.0}, set_size={"t": 3}, stated_set="all", score=lambda arch, world: {})
    parts = {"space": ToySpace(), "judge": judge, "fidelities": (1,), "checksum": "c", "record": "drawn"}
    problem = SimpleNamespace(**parts, facts=Facts("a table", "a value", {"t": "test"}), oracle=lambda world: None)
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
    problem = made()
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
        ({"judge__score": 3}, "judge.score must be a Callable, not 3"),
        ({"space": "nb201"}, "space must be a SearchSpace, not 'nb201'"),
        ({"checksum": ""}, "checksum is empty"),
        ({"fidelities": [1]}, r"fidelities must be a tuple, not \[1\]"),
        ({"oracle": None}, "oracle must be a Callable, not None"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"^mine/toy: .*{words}") as refusal:
        opened(made(**changes), monkeypatch)
    assert "\n" not in str(refusal.value)


def test_a_benchmark_that_fails_to_open_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ZeroDivisionError("division\nby zero")

    with pytest.raises(UserError, match="mine/toy cannot be opened: ZeroDivisionError: division by zero"):
        opened(fails, monkeypatch)
    with pytest.raises(UserError, match="mine/toy needs 'recipe' in the search or the judge table of its protocol"):
        opened(lambda: {}["recipe"], monkeypatch)
