"""Feature map selection keeps the contracts, on the digits and on a made IMDb."""

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
from harness.budget import Budget, BudgetExhausted
from harness.errors import UserError
from harness.outcome import Trace
from harness.problem import Problem
from harness.space import InvalidArchitecture
from tests import review_files
from tests.contract.benchmarks import TrainingContract
from tests.contract.spaces import SpaceContract

ROWS = [row for info in registry.methods().values() if info.kind == "feature-maps" for row in info.rows]


class TestPoolSpace(SpaceContract):
    space = PoolSpace("random-fourier", 256)

    def test_an_index_outside_the_pool_is_refused_with_its_value(self) -> None:
        with pytest.raises(InvalidArchitecture, match="'256' is not a configuration of random-fourier: a number below 256"):
            self.space.from_str("256")


class SolverContract(TrainingContract):
    def use(self, task: Any, seed: int) -> Any:
        """A solver call for weights that all configurations share, and its answers."""
        rng = np.random.default_rng(seed)
        count = task.configurations
        model = task.fit(rng.integers(0, count, task.points["train"]), task.features - seed)
        answers = model.validate(rng.integers(0, count, task.points["valid"]))
        return answers.correct.tolist(), answers.loss.round(5).tolist()

    @pytest.mark.parametrize("wrong", [-1, 8, [0, 99], 1.0, None, "x"])
    def test_a_configuration_outside_the_pool_is_refused_before_it_costs(self, problem: Problem, wrong: object) -> None:
        view = self.view(problem, 1)
        with pytest.raises(InvalidArchitecture, match="is not a configuration: whole numbers below 8"):
            view.task.fit(wrong, 10)
        assert view.budget.queries == view.budget.seconds == 0

    def test_more_features_than_the_task_has_are_refused(self, problem: Problem) -> None:
        view = self.view(problem, 1)
        for features in (0, view.task.features + 1):
            with pytest.raises(ValueError, match=f"{features} features; there are 1 to "):
                view.task.fit(0, features)
        assert view.budget.queries == 0

    def test_another_draw_is_another_feature_map(self, problem: Problem) -> None:
        task = self.view(problem, 1).task
        losses = [task.fit(0, task.features, draw=draw).validate(0).loss.tolist() for draw in (0, 0, 1)]
        assert losses[0] == losses[1]
        if problem.space.name == "random-fourier":  # the hash of an n-gram has no random part that a draw could change
            assert losses[0] != losses[2]

    def test_joint_training_sees_the_validation_points(self, problem: Problem) -> None:
        task = self.view(problem, 1).task
        for config in range(4):
            apart, joint = (task.fit(config, task.features, joint=joint).validate(config).loss.sum() for joint in (False, True))
            assert joint < apart

    def test_the_budget_of_one_call_is_its_features(self, problem: Problem) -> None:
        view = self.view(problem, 1)
        view.task.fit(0, 17)
        assert view.budget.extra == {"solver_calls": 1, "features": 17}

    @pytest.mark.parametrize("row", ROWS)
    def test_every_selector_repeats_itself_and_leaves_global_generators_alone(self, problem: Problem, row: str) -> None:
        traces = []
        for limit in (None, None, 3):
            before = random.getstate(), str(np.random.get_state(legacy=False))
            trace = Trace()
            view = self.view(problem, 1, Budget("solver_calls", limit) if limit else None, trace)
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
    @pytest.fixture
    def problem(self) -> Problem:
        return registry.benchmark("feature_maps/digits").open({"digits": {"features": 60, "pool": 8}}, {})

    @pytest.fixture
    def test_points(self) -> list[bytes]:
        train, test = ([image.tobytes() for image in part.images] for part in dataset.load("digits"))
        return [image for image in test if image not in train]


class TestReviews(SolverContract):
    @pytest.fixture
    def problem(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Problem]:
        caches = (data._reviews, data._tokens)
        monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NAS_DATA", str(tmp_path))
        review_files.lines(tmp_path / "imdb.jsonl", review_files.made(20))
        for one in caches:
            one.cache_clear()
        yield registry.benchmark("feature_maps/imdb").open({"imdb": {"features": 512, "pool": 8}}, {})
        for one in caches:
            one.cache_clear()

    @pytest.fixture
    def test_points(self, problem: Problem) -> list[bytes]:
        parts, tokens = data.ReviewDataSet(data.Settings(features=512))._rows(), data._tokens("strip")
        train, valid, test = ([tokens.rows(rows[i : i + 1])._ids.tobytes() for i in range(len(rows))] for rows in parts)
        return [review for review in test if review not in train + valid]


@pytest.mark.parametrize("one", benchmarks(), ids=lambda one: one.id)
def test_what_is_there_is_told_and_what_is_not_says_where_to_look(
    one: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setenv("NAS_DATA", "")
    assert one.availability().ready == one.embedded == (one.dataset == "digits")
    if not one.embedded:
        with pytest.raises(UserError, match=f"{one.id} needs data that are not there; see"):
            one.open({}, {})


def test_an_unknown_setting_of_a_protocol_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"feature_maps/digits: .*'buckets'; there are features, pool, train"):
        registry.benchmark("feature_maps/digits").open({"digits": {"buckets": 5}}, {})
