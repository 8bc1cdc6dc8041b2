"""What every benchmark must do."""

from __future__ import annotations

import functools
import math
import random
import types
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.budget import Budget, BudgetExhausted
from harness.problem import Judge, MissingRecord, Problem, SearchView

WORLDS = (1, 2**40 + 3)


class BenchmarkContract:
    """What a benchmark must do that has recorded values. Inherit, and provide the fixtures ``problem`` and ``secrets``."""

    def archs(self, problem: Problem, n: int = 50) -> list[tuple[int, ...]]:
        rng = random.Random(5)
        return [problem.space.sample(rng) for _ in range(n)]

    def test_a_query_depends_on_world_architecture_fidelity_and_count_alone(self, problem: Problem) -> None:
        archs = self.archs(problem)
        for world in WORLDS:
            one, two = problem.oracle(world), problem.oracle(world)
            forwards = [one.measure(arch, None, 0) for arch in archs]
            backwards = [two.measure(arch, None, 0) for arch in reversed(archs)]
            assert forwards == backwards[::-1]

    def test_worlds_differ_where_records_are_drawn(self, problem: Problem) -> None:
        archs = self.archs(problem, 200)
        a, b = ([problem.oracle(world).measure(arch, None, 0)[0] for arch in archs] for world in WORLDS)
        assert (a != b) == (problem.record == "drawn")

    def test_costs_are_positive_and_finite(self, problem: Problem) -> None:
        oracle = problem.oracle(1)
        for arch in self.archs(problem):
            accuracy, seconds, epochs, macs = oracle.measure(arch, None, 0)
            assert 0 <= accuracy <= 100
            assert 0 < seconds < math.inf
            assert epochs > 0
            assert macs >= 0

    def test_none_means_the_last_fidelity(self, problem: Problem) -> None:
        oracle = problem.oracle(1)
        assert problem.fidelities == oracle.fidelities == tuple(sorted(oracle.fidelities))
        for arch in self.archs(problem):
            assert oracle.measure(arch, None, 0) == oracle.measure(arch, oracle.fidelities[-1], 0)

    def test_less_training_costs_less(self, problem: Problem) -> None:
        oracle = problem.oracle(1)
        for arch in self.archs(problem, 5):
            costs = [oracle.measure(arch, fidelity, 0)[2] for fidelity in oracle.fidelities]
            assert costs == sorted(costs)

    def test_the_judge_agrees_with_itself(self, problem: Problem) -> None:
        judge = problem.judge
        for arch in self.archs(problem):
            scores = judge.score(arch, WORLDS[0])
            assert set(scores) == set(judge.optimum)
            for target, metrics in scores.items():
                assert set(metrics) == {"valid", "test", "regret", "rank"}
                assert metrics["regret"] == judge.optimum[target] - metrics["test"]
                assert metrics["regret"] >= 0
                assert (metrics["rank"] == 1) == (metrics["regret"] == 0)

    def test_no_test_value_can_be_reached_from_a_view(self, problem: Problem, secrets: set[float]) -> None:
        view = SearchView(problem.space, Budget(), problem.oracle(1), seed=0)
        view.query(self.archs(problem)[0])
        seen = list(reachable(view))
        found = {value for value in seen if isinstance(value, float)} & secrets
        assert not found
        assert not [value for value in seen if isinstance(value, Judge_like)]

    def test_the_walk_would_have_noticed(self, problem: Problem, secrets: set[float]) -> None:
        assert {value for value in reachable(problem.judge) if isinstance(value, float)} & secrets


class TrainingContract:
    """What a benchmark must do that tabulates nothing and lets methods train.

    Inherit, and provide the fixtures ``problem`` and ``test_points`` (each point's bytes), and :meth:`use`.
    """

    def use(self, task: Any, seed: int) -> Any:
        """Does something with a task that costs; returns what it learned, to be compared."""
        raise NotImplementedError

    def view(self, problem: Problem, world: int, budget: Budget | None = None) -> SearchView:
        """A search that has begun."""
        task = functools.partial(problem.task, world, "cpu")  # type: ignore[attr-defined]
        return SearchView(problem.space, budget or Budget(), problem.oracle(world), 0, "self", task=task)

    def test_what_is_learned_depends_on_the_world_and_the_request_alone(self, problem: Problem) -> None:
        for world in WORLDS:
            first, again = self.view(problem, world).task, self.view(problem, world).task
            forwards = [self.use(first, seed) for seed in range(3)]
            backwards = [self.use(again, seed) for seed in reversed(range(3))]
            assert forwards == backwards[::-1]
        one, two = (self.use(self.view(problem, world).task, 0) for world in WORLDS)
        assert one != two

    def test_nothing_is_free_and_nothing_is_done_beyond_the_budget(self, problem: Problem) -> None:
        view = self.view(problem, 1)
        self.use(view.task, 0)
        assert view.budget.queries == 1
        assert view.budget.seconds > 0
        for currency in ("queries", *view.budget.extra):
            least = Budget(currency, view.budget.spent(currency) * 1.5)
            limited = self.view(problem, 1, least)
            self.use(limited.task, 0)
            with pytest.raises(BudgetExhausted):
                self.use(limited.task, 1)
            assert limited.budget.queries == 1

    def test_without_an_oracle_a_query_says_so(self, problem: Problem) -> None:
        assert problem.oracle(1) is None
        with pytest.raises(MissingRecord, match=r"methods train through view\.task"):
            self.view(problem, 1).query(problem.space.sample(random.Random(0)))

    def test_the_judge_agrees_with_itself(self, problem: Problem) -> None:
        judge, arch = problem.judge, problem.space.sample(random.Random(0))
        for world in WORLDS:
            scores = judge.score(arch, world)
            assert repr(scores) == repr(judge.score(arch, world))  # NaN differs from itself
            assert set(scores) == set(judge.optimum) == set(judge.set_size)
            for metrics in scores.values():
                assert set(metrics) == {"valid", "test", "regret", "rank"}
                assert 0 <= metrics["test"] <= 100

    def test_no_test_point_can_be_reached_from_a_view(self, problem: Problem, test_points: list[bytes]) -> None:
        view = self.view(problem, 1)
        self.use(view.task, 0)
        judged = problem.judge.score(problem.space.sample(random.Random(0)), 1)
        secrets = {metrics["test"] for metrics in judged.values()}
        seen = list(reachable(view))
        assert not {value for value in seen if isinstance(value, float)} & secrets
        assert not [value for value in seen if isinstance(value, Judge_like)]
        assert not _held(seen, test_points)

    def test_the_walk_would_have_noticed(self, problem: Problem, test_points: list[bytes]) -> None:
        judged = problem.judge.score(problem.space.sample(random.Random(0)), 1)
        seen = list(reachable(problem.judge))
        assert {value for value in seen if isinstance(value, float)} & {metrics["test"] for metrics in judged.values()}
        assert _held(seen, test_points) == len(test_points) > 10


def _held(seen: list[Any], points: list[bytes]) -> int:
    """How many of the points lie in some array, as they are."""
    contents = [value.tobytes() for value in seen if isinstance(value, np.ndarray) and value.dtype.kind in "iuf"]
    return sum(any(point in content for content in contents) for point in points)


class _JudgeMeta(type):
    def __instancecheck__(cls, value: object) -> bool:
        return not isinstance(value, type) and hasattr(value, "score") and hasattr(value, "optimum")


class Judge_like(metaclass=_JudgeMeta):
    """Anything with the judge's two attributes."""

    contract = Judge


def reachable(root: object) -> Iterator[Any]:
    """Every value that can be reached from ``root`` by attributes, slots, containers, closures, defaults, bound objects.

    Modules and classes are not entered: any code can import them.
    """
    todo, seen = [root], set()
    while todo:
        value = todo.pop()
        if isinstance(value, (types.ModuleType, type)):
            continue
        if isinstance(value, float):
            yield value
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, np.ndarray):
            todo += value.ravel().tolist()
        elif isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset, array)):
            todo += value
        elif isinstance(value, functools.partial):
            todo += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, types.GeneratorType):
            todo += list(value.gi_frame.f_locals.values() if value.gi_frame else ())
        elif isinstance(value, types.MethodType):
            todo += [value.__self__, value.__func__]
        elif isinstance(value, types.FunctionType):
            todo += [*(cell.cell_contents for cell in value.__closure__ or ()), *(value.__defaults__ or ())]
        else:
            slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            todo += [getattr(value, name) for name in slots if hasattr(value, name)]
            todo += list(getattr(value, "__dict__", {}).values())
