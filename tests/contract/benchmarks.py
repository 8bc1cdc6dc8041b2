"""What every benchmark must do. Inherit, and provide the fixtures ``problem`` and ``secrets``."""

from __future__ import annotations

import functools
import math
import random
import types
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.budget import Budget
from harness.problem import Judge, Problem, SearchView

WORLDS = (1, 2**40 + 3)


class BenchmarkContract:
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
