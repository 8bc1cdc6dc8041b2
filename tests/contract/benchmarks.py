"""What every benchmark must do."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.budget import Budget, BudgetExhausted
from harness.conformance import benchmarks as claims
from harness.conformance.benchmarks import WORLDS
from harness.conformance.reach import JudgeLike, reachable
from harness.outcome import Trace
from harness.problem import MissingRecord, Problem
from harness.view import SearchView


class BenchmarkContract:
    """What a benchmark must do that has recorded values. Inherit, and provide the fixtures ``problem`` and ``secrets``."""

    def archs(self, problem: Problem, n: int = 50) -> list[tuple[int, ...]]:
        return claims.sampled(problem, n)

    @pytest.mark.parametrize(
        ("claim", "n"),
        [
            (claims.queries_depend_on_what_is_asked, 50),
            (claims.worlds_differ_if_drawn, 200),
            (claims.costs_are_positive, 50),
            (claims.none_is_the_last_fidelity, 50),
            (claims.less_training_costs_less, 5),
            (claims.judge_agrees_with_itself, 50),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_the_claim_holds(self, claim: Callable[..., None], n: int, problem: Problem) -> None:
        claim(problem, self.archs(problem, n))

    def test_no_test_value_can_be_reached_from_a_view(self, problem: Problem, secrets: set[float]) -> None:
        view = SearchView(problem.space, Budget(), problem.oracle(1), seed=0)
        view.query(self.archs(problem)[0])
        seen = list(reachable(view))
        found = {value for value in seen if isinstance(value, float)} & secrets
        assert not found
        assert not [value for value in seen if isinstance(value, JudgeLike)]

    def test_the_walk_would_have_noticed(self, problem: Problem, secrets: set[float]) -> None:
        assert {value for value in reachable(problem.judge) if isinstance(value, float)} & secrets


class TrainingContract:
    """What a benchmark must do that tabulates nothing and lets methods train.

    Inherit, and provide the fixtures ``problem`` and ``test_points`` (each point's bytes), and :meth:`use`.
    """

    def use(self, task: Any, seed: int) -> Any:
        """Does something with a task that costs; returns what it learned, to be compared."""
        raise NotImplementedError

    def view(self, problem: Problem, world: int, budget: Budget | None = None, trace: Trace | None = None) -> SearchView:
        """A search that has begun."""
        task = functools.partial(problem.training, world, "cpu")
        return SearchView(problem.space, budget or Budget(), problem.oracle(world), 0, "self", task=task, trace=trace)

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
        assert not [value for value in seen if isinstance(value, JudgeLike)]
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
