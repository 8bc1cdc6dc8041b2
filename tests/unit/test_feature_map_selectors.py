"""Selectors of feature maps, on a made task with a known quality of every map."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from benchmarks.feature_maps.models import Predictions
from benchmarks.feature_maps.pool import PoolSpace
from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.checkpoint import File
from harness.training import Meter
from methods.feature_maps.weight_sharing import WeightSharing
from tests.recorded import RecordedView

ROWS = [row for info in registry.methods().values() if info.kind == "feature-maps" for row in info.rows]


@dataclass
class Call:
    assigned: np.ndarray
    features: int
    draw: int
    joint: bool
    loss: str


@dataclass
class MadeTask:
    """Map ``i`` is correct on the same ``(i + 1) / size`` of the points; the training loss ranks maps in reverse."""

    charge: Meter
    size: int = 16
    features: int = 1000
    points: dict[str, int] = field(default_factory=lambda: {"train": 800, "valid": 400})
    calls: list[Call] = field(default_factory=list)
    dies_at: int = -1

    def fit(self, assigned: Any, features: int, *, draw: int = 0, joint: bool = False, loss: str = "hinge") -> MadeModel:
        self.charge(queries=1, solver_calls=1, features=features)
        if len(self.calls) + 1 == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(Call(np.asarray(assigned), features, draw, joint, loss))
        self.charge(seconds=features / 100)
        return MadeModel(self, float(np.mean(assigned)))


@dataclass
class MadeModel:
    task: MadeTask
    objective: float

    def validate(self, assigned: Any) -> Predictions:
        n = self.task.points["valid"]
        level = np.random.default_rng(3).permutation(n) / n
        quality = (np.broadcast_to(assigned, (n,)) + 1) / self.task.size
        return Predictions(level < quality, level - quality)


def run(row: str, seed: int = 0, size: int = 16, ledger: Ledger | None = None, file: File | None = None, **task: Any) -> Any:
    """Search with a row. Return (view, task)."""
    info = registry.method(row.partition(":")[0])
    values = registry.settings(info, row, "random-fourier", {}, {})
    tasks: list[MadeTask] = []

    def open_task(charge: Meter) -> MadeTask:
        tasks.append(MadeTask(charge, size, **task))
        return tasks[-1]

    view = RecordedView(PoolSpace("made", size), ledger or Ledger(), None, seed, "self", task=open_task, checkpoint=file)
    with contextlib.suppress(BudgetExhausted):
        registry.build(info, values).search(view)
    return view, tasks[0]


def proposals(view: RecordedView) -> list[int]:
    return [proposal.arch[0] for proposal in view.trace.proposals]


# Every selector


@pytest.mark.parametrize("row", ROWS)
def test_same_seeds_same_search_and_other_seeds_another(row: str) -> None:
    (first, task_of_first), (second, task_of_second), (_, task_of_other_seed) = (run(row, seed, 64) for seed in (5, 5, 6))
    assert repr(first.trace) == repr(second.trace)  # NaN differs from itself
    trained = [[call.assigned.tolist() for call in task.calls] for task in (task_of_first, task_of_second, task_of_other_seed)]
    assert trained[0] == trained[1]
    assert (trained[0] == trained[2]) == (row == "sweep:joint_erm")  # it trains the first maps one by one, without randomness


@pytest.mark.parametrize("row", ROWS)
def test_every_solver_call_is_paid_for_and_none_is_made_beyond_the_budget(row: str) -> None:
    free, _ = run(row, size=64)
    spent = free.ledger.snapshot()
    assert spent["queries"] == spent["extra"]["solver_calls"] > 1
    for limit in (1, 3, 6):
        view, task = run(row, size=64, ledger=Ledger("solver_calls", limit))
        assert len(task.calls) == view.budget.queries == min(limit, spent["queries"])
        head = [proposal for proposal in free.trace.proposals if proposal.queries <= limit]
        assert [proposal for proposal in view.trace.proposals if proposal.queries < limit] == [
            proposal for proposal in head if proposal.queries < limit
        ]


@pytest.mark.parametrize("row", ROWS)
def test_a_killed_search_goes_on_to_the_same_end(row: str, tmp_path: Any) -> None:
    uninterrupted, _ = run(row, size=32)
    file = File(tmp_path / "run.ckpt", "a run")
    for dies_at in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            run(row, size=32, file=file, dies_at=dies_at)
    resumed, task = run(row, size=32, file=file)
    assert repr(resumed.trace) == repr(uninterrupted.trace)
    assert resumed.ledger.snapshot() == uninterrupted.ledger.snapshot()
    assert len(task.calls) < uninterrupted.budget.queries


@pytest.mark.parametrize("row", ROWS)
def test_the_loss_reaches_every_solver_call(row: str) -> None:
    """D-36."""
    info = registry.method(row.partition(":")[0])
    values = registry.settings(info, row, "random-fourier", {}, {})
    assert values["loss"] == "hinge"
    tasks: list[MadeTask] = []

    def open_task(charge: Meter) -> MadeTask:
        tasks.append(MadeTask(charge))
        return tasks[-1]

    view = RecordedView(PoolSpace("made", 16), Ledger(), None, 0, "self", task=open_task)
    registry.build(info, {**values, "loss": "squared_hinge"}).search(view)
    assert {call.loss for call in tasks[0].calls} == {"squared_hinge"}


@pytest.mark.parametrize("row", ROWS)
def test_a_problem_without_a_pool_is_skipped_with_the_reason(row: str) -> None:
    from harness.testing.toy import ToyProblem

    assert registry.method(row.partition(":")[0]).cls().skip(ToyProblem()) == "needs a pool of feature maps"


# Weight sharing


def test_weight_sharing_finds_the_best_map_in_one_call_per_halving_and_one_more() -> None:
    view, task = run("weight_sharing:plain", size=16)
    assert len(task.calls) == 5
    assert proposals(view)[-1] >= 13
    assert [call.features for call in task.calls] == [1000] * 5
    assert len({call.draw for call in task.calls}) == 1
    assert task.calls[-1].assigned.shape == ()


def test_fast_weight_sharing_draws_new_features_every_round() -> None:
    _, task = run("weight_sharing:fast", size=16)
    assert [call.features for call in task.calls] == [251, 354, 501, 708, 1000]
    assert len({call.draw for call in task.calls}) == 5


def test_every_training_point_gets_a_map_drawn_uniformly_from_those_alive() -> None:
    view, task = run("weight_sharing:plain", size=16)
    counts = np.bincount(task.calls[0].assigned, minlength=16)
    assert counts.sum() == 800
    assert counts.min() > 25
    alive = [set(call.assigned.tolist()) for call in task.calls[:-1]]
    for before, after in itertools.pairwise(alive):
        assert after < before
    assert [row["alive"] for row in view.trace.scalars] == [16, 8, 4, 2, 1]


def test_a_score_is_the_mean_over_a_maps_own_points() -> None:
    """D-33."""
    alive, assigned = np.array([2, 5, 9]), np.array([2, 5, 5, 2, 5])
    correct, loss = np.array([True, True, False, True, False]), np.array([0.1, 0.2, 3.0, 0.5, 1.0])
    by_accuracy = WeightSharing().scores(alive, assigned, correct, loss)
    assert by_accuracy == pytest.approx([1, 1 / 3, 0])
    by_loss = WeightSharing(score="loss").scores(alive, assigned, correct, loss)
    assert by_loss == pytest.approx([-0.3, -1.4, -3.0])  # without points: as bad as the worst point


def survivors(scores: list[float], alive: list[int], pool: int, **settings: Any) -> list[int]:
    return WeightSharing(**settings).survivors(alive, np.array(scores), pool, np.random.default_rng(0))


def test_half_survive_those_at_or_above_the_median() -> None:
    assert survivors([0.1, 0.9, 0.5, 0.7], [3, 4, 8, 9], 4) == [4, 9]
    assert survivors([0.1, 0.9, 0.5], [3, 4, 8], 4) == [4, 8]
    assert survivors([0.1, 0.9, 0.5, 0.7], [3, 4, 8, 9], 4, keep=0.25) == [4]
    assert survivors([0.4], [7], 4) == [7]


def test_ties_are_broken_to_half_of_the_maps_alive_or_only_of_the_pool() -> None:
    """D-34."""
    scores, alive = [0.5] * 7 + [0.9], list(range(8))
    ours = survivors(scores, alive, 256)
    assert len(ours) == 4
    assert 7 in ours
    assert survivors(scores, alive, 256, ties="pool") == alive  # as released: 8 are fewer than half of 256
    assert len(survivors(scores, alive, 8, ties="pool")) == 4  # in its first round the two agree
    assert len(survivors([0.5] * 6, list(range(6)), 6)) == 3
    assert len(survivors([0.9] * 6 + [0.1], list(range(7)), 7)) == 4  # only ties are dropped, not the better ones


def test_which_of_the_ties_is_dropped_is_chance() -> None:
    survivors = {tuple(WeightSharing().survivors([0, 1, 2, 3], np.ones(4), 4, np.random.default_rng(i))) for i in range(60)}
    assert survivors == {(a, b) for a in range(4) for b in range(a + 1, 4)}


# Hyperband


def test_a_rung_promotes_its_best_with_more_features() -> None:
    view, task = run("hyperband:successive_halving", size=200)
    configs = [int(call.assigned) for call in task.calls]
    assert [call.features for call in task.calls] == [16] * 64 + [63] * 16 + [250] * 4 + [1000]
    first, second, third = configs[:64], configs[64:80], configs[80:84]
    assert second == sorted(first, reverse=True)[:16]
    assert third == second[:4]
    assert configs[84] == max(first) == proposals(view)[-1]
    assert proposals(view) == [max(first)] * 4  # at the end of each rung


def test_random_search_proposes_every_better_map_at_once() -> None:
    view, task = run("hyperband:random_search", size=200)
    configs = [int(call.assigned) for call in task.calls]
    assert [call.features for call in task.calls] == [1000] * 4
    best = list(np.maximum.accumulate(configs))
    assert proposals(view) == list(dict.fromkeys(best))


def test_a_result_with_fewer_features_never_displaces_one_with_more() -> None:
    view, task = run("hyperband:all_brackets", size=200)
    full = [int(call.assigned) for call in task.calls if call.features == 1000]
    assert proposals(view)[-1] == max(full)


def test_a_pool_smaller_than_a_bracket_is_drawn_from_with_replacement() -> None:
    _, task = run("hyperband:successive_halving", size=5)
    assert len(task.calls) == 85


# The sweep


def test_bilevel_takes_the_best_on_validation_and_joint_erm_the_smallest_loss_of_all_points() -> None:
    bilevel, task = run("sweep:bilevel", size=8)
    joint, ours = run("sweep:joint_erm", size=8)
    assert proposals(bilevel)[-1] == 7  # the best one, as the made task has it
    assert proposals(joint)[-1] == 0  # the smallest training loss
    assert not any(call.joint for call in task.calls)
    assert all(call.joint for call in ours.calls)
    assert len(ours.calls) == 8
    assert len(task.calls) == 9 * 6


def test_the_sweep_logs_shared_and_own_accuracy_at_every_size() -> None:
    view, task = run("sweep:bilevel", size=64)
    rows = view.trace.scalars
    assert len(rows) == 32 * 6
    assert {row["features"] for row in rows} == {32, 63, 125, 250, 500, 1000}
    assert all(row["shared_accuracy"] == row["own_accuracy"] for row in rows)  # the made task has no cost of sharing
    shared = [call for call in task.calls if call.assigned.shape]
    assert [set(call.assigned.tolist()) for call in shared] == [set(range(32))] * 6


# Constructors


@pytest.mark.parametrize(
    ("method", "values", "reason"),
    [
        ("weight_sharing", {"keep": 1.0}, "keep must be between 0 and 1"),
        ("weight_sharing", {"growth": 0.9}, "growth must be at least 1"),
        ("hyperband", {"eta": 1}, "eta must be above 1"),
        ("hyperband", {"least": 0}, "least must be above 0"),
        ("hyperband", {"halving": 4}, "halving must be 0 to 3"),
        ("hyperband", {"eta": 2, "least": 2**-8, "brackets": "halving", "halving": 1}, "halving = 1 selects no bracket"),
        ("sweep", {"maps": 1}, "maps must be at least 2"),
        ("sweep", {"sizes": (1.0, 0.5)}, "sizes must be ascending"),
        ("sweep", {"sizes": (0.5, 1.5)}, "sizes must be ascending"),
    ],
)
def test_impossible_settings_are_refused(method: str, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        registry.method(method).cls(**values)
