"""Feature map selection keeps the contracts, on the digits and on a small invented IMDb."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.feature_maps import data
from benchmarks.feature_maps.benchmark import benchmarks
from benchmarks.feature_maps.pool import PoolSpace
from benchmarks.images import dataset
from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.errors import UserError
from harness.outcome import Trace
from harness.problem import Problem
from harness.space import InvalidArchitecture
from harness.testing.benchmark_claims import sampled
from harness.testing.reach import contents, reachable
from harness.testing.suites.benchmarks import UntabulatedContract
from harness.testing.suites.spaces import SpaceContract
from harness.testing.suites.training import Points, TrainingContract, begin
from tests import review_files

ROWS = [row for info in registry.methods().values() if info.kind == "feature-maps" for row in info.rows]


class TestPoolSpace(SpaceContract):
    space = PoolSpace("random-fourier", 256)

    def test_an_index_outside_the_pool_is_refused_with_its_value(self) -> None:
        with pytest.raises(InvalidArchitecture, match="'256' is not a configuration of random-fourier: a number below 256"):
            self.space.from_str("256")


class SolverContract(UntabulatedContract, TrainingContract):
    currencies = ("queries", "solver_calls", "features")  # seconds are those of this machine

    def use(self, task: Any, seed: int) -> Any:
        """Call the solver for weights that all configurations share. Return its correct predictions and the losses."""
        rng = np.random.default_rng(seed)
        count = task.configurations
        model = task.fit(rng.integers(0, count, task.points["train"]), task.features - seed)
        predictions = model.validate(rng.integers(0, count, task.points["valid"]))
        return predictions.correct.tolist(), predictions.loss.round(5).tolist()

    @pytest.mark.parametrize("wrong", [-1, 8, [0, 99], 1.0, None, "x"])
    def test_a_configuration_outside_the_pool_is_refused_before_it_costs(self, problem: Problem, wrong: object) -> None:
        view = begin(problem, 1)
        with pytest.raises(InvalidArchitecture, match="is not a configuration: whole numbers below 8"):
            view.task.fit(wrong, 10)
        assert view.budget.queries == view.budget.seconds == 0

    def test_more_features_than_the_task_has_are_refused(self, problem: Problem) -> None:
        view = begin(problem, 1)
        for features in (0, view.task.features + 1):
            with pytest.raises(ValueError, match=f"{features} features; there are 1 to "):
                view.task.fit(0, features)
        assert view.budget.queries == 0

    def test_another_draw_is_another_feature_map(self, problem: Problem) -> None:
        task = begin(problem, 1).task
        losses = [task.fit(0, task.features, draw=draw).validate(0).loss.tolist() for draw in (0, 0, 1)]
        assert losses[0] == losses[1]
        if problem.space.name == "random-fourier":  # the hash of an n-gram has no random part that a draw could change
            assert losses[0] != losses[2]

    def test_joint_training_sees_the_validation_points(self, problem: Problem) -> None:
        task = begin(problem, 1).task
        for config in range(4):
            apart, joint = (task.fit(config, task.features, joint=joint).validate(config).loss.sum() for joint in (False, True))
            assert joint < apart

    def test_the_budget_of_one_call_is_its_features(self, problem: Problem) -> None:
        view = begin(problem, 1)
        view.task.fit(0, 17)
        assert view.budget.extra == {"solver_calls": 1, "features": 17}
        assert view.budget.queries == 1 and view.budget.seconds > 0

    def test_the_judge_reaches_test_points_and_test_values(self, problem: Problem) -> None:
        judged = problem.judge.score(sampled(problem, 1)[0], 1)
        reached = list(reachable(problem.judge))
        memory = contents(reached)
        assert all(point in memory for point in self.points(problem).secret)
        assert {value for value in reached if isinstance(value, float)} & {metrics["test"] for metrics in judged.values()}

    @pytest.mark.parametrize("row", ROWS)
    def test_every_selector_repeats_itself_and_leaves_global_generators_alone(self, problem: Problem, row: str) -> None:
        traces = []
        for limit in (None, None, 3):
            before = random.getstate(), str(np.random.get_state(legacy=False))
            trace = Trace()
            view = begin(problem, 1, Ledger("solver_calls", limit) if limit else None, trace)
            info = registry.method(row.partition(":")[0])
            values = {**registry.settings(info, row, problem.space.name, {}, {})}
            if info.name == "sweep":
                values["sizes"] = (1.0,)
            if "bag" in problem.space.name and info.name == "hyperband":
                values["least"] = 0.125
            try:
                registry.build(info, values).search(view)
            except BudgetExhausted:
                assert limit
            assert before == (random.getstate(), str(np.random.get_state(legacy=False)))
            traces.append([proposal.arch for proposal in trace.proposals])
            assert all(arch in problem.space for arch in traces[-1])
            assert view.budget.queries <= (limit or 1000)
        assert traces[0] == traces[1]
        assert traces[0]
        assert traces[2] == traces[0][: len(traces[2])]


class TestDigits(SolverContract):
    benchmarks = ("feature_maps/digits",)

    @pytest.fixture
    def problem(self) -> Problem:
        return registry.benchmark("feature_maps/digits").open({"digits": {"features": 60, "pool": 8}}, {})

    def points(self, problem: Problem) -> Points:
        train, test = ([image.tobytes() for image in part.images] for part in dataset.load("digits"))
        return Points(train, test)


class TestReviews(SolverContract):
    benchmarks = ("feature_maps/imdb",)

    @pytest.fixture
    def problem(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Problem]:
        caches = (data._reviews, data._tokens)
        monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NAS_DATA", str(tmp_path))
        review_files.lines(tmp_path / "imdb.jsonl", review_files.made(20))
        for cache in caches:
            cache.cache_clear()
        yield registry.benchmark("feature_maps/imdb").open({"imdb": {"features": 512, "pool": 8}}, {})
        for cache in caches:
            cache.cache_clear()

    def points(self, problem: Problem) -> Points:
        parts, tokens = data.ReviewDataSet(data.Settings(features=512))._rows(), data._tokens("strip")
        train, valid, test = ([tokens.rows(rows[i : i + 1])._ids.tobytes() for i in range(len(rows))] for rows in parts)
        return Points(train + valid, test)


@pytest.mark.parametrize("offered", benchmarks(), ids=lambda offered: offered.id)
def test_a_benchmark_is_available_if_its_data_are_and_else_says_where_to_look(
    offered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setenv("NAS_DATA", "")
    assert offered.availability().ready == offered.embedded == (offered.dataset == "digits")
    if not offered.embedded:
        with pytest.raises(UserError, match=f"{offered.id} needs data that are not there; see"):
            offered.open({}, {})


def test_an_unknown_setting_of_a_protocol_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"feature_maps/digits: .*'buckets'; there are features, pool, train"):
        registry.benchmark("feature_maps/digits").open({"digits": {"buckets": 5}}, {})
