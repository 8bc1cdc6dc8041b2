"""The contract of a benchmark as tests: its oracle and its judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pytest

from harness.budget import Ledger
from harness.problem import MissingRecord, Problem
from harness.space import Arch
from harness.testing import benchmark_claims as claims
from harness.testing.benchmark_claims import WORLDS
from harness.testing.reach import is_judge, reachable
from harness.view import SearchView


class BenchmarkContract:
    """What a benchmark with recorded values must do. Inherit, and define the fixture :meth:`problem`.

    Override :meth:`secrets` to name all test values, and :meth:`archs` if few architectures of the space have a record.
    """

    benchmarks: ClassVar[Sequence[str]] = ()
    """The ids of the benchmarks that the class tests. A test may check that no benchmark is missing."""

    @pytest.fixture
    def problem(self) -> Problem:
        """Return the benchmark, opened under a protocol."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `problem` that opens the benchmark")

    def secrets(self, problem: Problem) -> set[float]:
        """Return test values that no search may reach. None of them may equal a validation value.

        By default: the judge's test accuracies of :meth:`archs`.
        """
        return claims.secret_values(problem, self.archs(problem))

    def archs(self, problem: Problem, n: int = 50) -> list[Arch]:
        """Return up to ``n`` architectures with a record."""
        return claims.recorded(problem, n)

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
    def test_the_claim_is_true(self, claim: Callable[..., None], n: int, problem: Problem) -> None:
        claim(problem, self.archs(problem, n))

    def test_no_test_value_can_be_reached_from_a_view(self, problem: Problem) -> None:
        view = SearchView(problem.space, Ledger(), problem.oracle(1), seed=0)
        view.query(self.archs(problem)[0])
        reached = list(reachable(view))
        assert not {value for value in reached if isinstance(value, float)} & self.secrets(problem)
        assert not any(map(is_judge, reached))

    def test_the_walk_would_have_noticed(self, problem: Problem) -> None:
        assert {value for value in reachable(problem.judge) if isinstance(value, float)} & self.secrets(problem)


class UntabulatedContract:
    """What a benchmark without recorded values must do. Inherit, and define the fixture :meth:`problem`."""

    benchmarks: ClassVar[Sequence[str]] = ()
    """The ids of the benchmarks that the class tests. A test may check that no benchmark is missing."""

    @pytest.fixture
    def problem(self) -> Problem:
        """Return the benchmark, opened under a protocol."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `problem` that opens the benchmark")

    def test_without_an_oracle_a_query_says_so(self, problem: Problem) -> None:
        assert problem.oracle(1) is None
        view = SearchView(problem.space, Ledger(), None, 0, "self")
        with pytest.raises(MissingRecord, match=r"methods train through view\.task"):
            view.query(problem.space.sample(random.Random(0)))

    def test_the_judge_agrees_with_itself(self, problem: Problem) -> None:
        judge, arch = problem.judge, problem.space.sample(random.Random(0))
        for world in WORLDS:
            scores = judge.score(arch, world)
            assert repr(scores) == repr(judge.score(arch, world))  # NaN differs from itself
            assert set(scores) == set(judge.optimum) == set(judge.set_size)
            for metrics in scores.values():
                assert {"valid", "test", "regret", "rank"} <= set(metrics)
                assert np.isnan(metrics["test"]) or 0 <= metrics["test"] <= 100
