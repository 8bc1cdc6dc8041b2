"""darts/digits and darts/cifar10 as benchmarks: what a search may hold, and what the judge knows."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from benchmarks.darts.benchmark import PRICED_CELLS
from benchmarks.darts.macro import Macro
from benchmarks.darts.published import published
from benchmarks.darts.size import network_size
from benchmarks.darts.space import DartsSpace
from harness import registry
from harness.budget import Ledger
from harness.errors import UserError
from harness.training import Retrainer


def test_the_judge_knows_the_size_of_a_cell_and_no_accuracy() -> None:
    problem = registry.benchmark("darts/digits").open({}, {})
    scores = problem.judge.score(published()["DARTS_V2"], 0)["digits"]
    size = network_size(published()["DARTS_V2"], Macro(8, 3, channels=1, size=8, auxiliary=False))
    assert (scores["parameters"], scores["macs"]) == size
    assert all(math.isnan(scores[name]) for name in ("valid", "test", "regret", "rank"))
    assert problem.oracle(1) is None


def test_cells_are_drawn_single_path_and_any_family_may_be_proposed() -> None:
    space = registry.benchmark("darts/digits").open({}, {}).space
    assert space.sample(random.Random(0)) in DartsSpace("single")
    assert published()["CONAS_1"] in space


def retrainer() -> Retrainer:
    """Return what trains cells of darts/digits from scratch."""
    retraining = registry.benchmark("darts/digits").open({}, {}).retraining
    assert retraining is not None
    return retraining


def test_what_a_training_depends_on_is_described() -> None:
    retraining = retrainer()
    test, valid, short = (
        retraining.describe(*words) for words in (("digits", "test"), ("digits", "valid"), ("digits_short", "test"))
    )
    assert "1,408 + 389 images" in test["images"] and "1,024 + 384 images" in valid["images"]
    assert test["digest"] == valid["digest"] != short["digest"]
    for words, reason in (
        (("digit", "test"), "did you mean 'digits"),
        (("digits", "tests"), "not test or valid"),
        (("darts", "test"), "too small"),
    ):
        with pytest.raises(UserError, match=reason):
            retraining.describe(*words)


def test_a_short_training_says_how_far_it_is_and_goes_on() -> None:
    retraining = retrainer()
    settings = {**retraining.describe("digits_short", "valid"), "recipe": "digits_short"}
    states: list[bytes] = []
    shares: list[float] = []
    cell = DartsSpace("mixed").from_str(
        "Genotype(normal=[[('skip_connect', 0)], [], [], []], normal_concat=[2],"
        " reduce=[[('max_pool_3x3', 1)], [], [], []], reduce_concat=[2])"
    )
    uninterrupted = retraining.train(cell, settings, 3, "cpu", None, states.append, shares.append)
    assert shares == sorted(shares) and set(shares) > {0.2, 0.4, 0.6, 0.8, 1.0} and uninterrupted.spent["epochs"] == 5
    again = retraining.train(cell, settings, 3, "cpu", states[2], lambda _: None, lambda _: None)
    assert (again.accuracy, again.best, again.loss) == (uninterrupted.accuracy, uninterrupted.best, uninterrupted.loss)
    assert uninterrupted.loss == uninterrupted.curve["loss"][-1] > 0
    assert uninterrupted.accuracy <= uninterrupted.top5 == uninterrupted.curve["top5"][-1] == again.top5
    assert again.curve["train_loss"] == uninterrupted.curve["train_loss"]


def test_a_training_costs_what_a_search_is_charged_for_its_epochs() -> None:
    """The common budget of the space is in multiply-adds: 10 epochs of the recipe, over all training images."""
    problem = registry.benchmark("darts/digits").open({}, {})
    assert problem.clock_currency == "macs"
    ledger = Ledger()
    assert problem.training is not None and problem.mean_cost is not None
    task = problem.training(0, "cpu", ledger.charge)
    net, rng, sizes = task.supernet(none=False), random.Random(0), []
    for _ in range(PRICED_CELLS):
        arch = problem.space.sample(rng)
        sizes.append(problem.judge.score(arch, 0)["digits"]["macs"])
        assert net.price(1, training=True, active=net.active_for(arch))["macs"] == sizes[-1]
    assert problem.mean_cost == pytest.approx(10 * 1408 * fmean(sizes))
