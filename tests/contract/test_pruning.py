"""Pruning keeps the contracts, repeats itself, and its judge trains what was proposed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from benchmarks.pruning import data
from benchmarks.pruning.space import MaskSpace
from harness import registry
from harness.budget import BudgetExhausted, Ledger
from harness.errors import UserError
from harness.outcome import Trace
from harness.problem import Problem
from harness.space import InvalidArchitecture
from harness.testing.suites.benchmarks import UntabulatedContract
from harness.testing.suites.spaces import SpaceContract
from harness.testing.suites.training import Points, TrainingContract, begin

ROWS = [row for info in registry.methods().values() if info.kind == "pruning" for row in info.rows]
EPOCHS = 3


class TestMaskSpace(SpaceContract):
    space = MaskSpace((3, 3, 2))


def test_text_is_the_positions_in_hexadecimal() -> None:
    space = MaskSpace((3, 3, 2))
    assert space.to_str((1, *(0,) * 12, 1, 1)) == "4003" and space.from_str("4003") == (1, *(0,) * 12, 1, 1)
    for wrong in ("8000", "403", "40030", "400G", "-403", " 403"):
        with pytest.raises(InvalidArchitecture, match="is not a sub-network of mlp-3-3-2: 4 hexadecimal digits for 15 weights"):
            space.from_str(wrong)
    assert len(MaskSpace(data.SIZES).cardinalities) == 64 * 40 + 40 * 20 + 20 * 10


class TestDigits(UntabulatedContract, TrainingContract):
    benchmarks = ("pruning/digits",)
    currencies = ("epochs", "macs")

    @pytest.fixture
    def problem(self) -> Problem:
        return registry.benchmark("pruning/digits").open({}, {"epochs": 1, "lr": 0.01})

    def use(self, task: Any, seed: int) -> Any:
        networks = task.initial(2)
        gradients = task.gradients(networks, next(task.batches(50 + seed, seed)))
        return [gradient.sum().item() for gradient in (*gradients.weights, *gradients.biases)]

    def points(self, problem: Problem) -> Points:
        train, valid = data.search_parts()
        search = [pixels.tobytes() for part in (train, valid) for pixels in part.pixels]
        return Points(search, [pixels.tobytes() for pixels in data.test_part().pixels])

    def test_a_step_costs_the_share_of_an_epoch_and_the_multiply_adds_of_each_network(self, problem: Problem) -> None:
        view = begin(problem, 1)
        view.task.gradients(view.task.initial(3), next(view.task.batches(256, 0)))
        assert view.budget.epochs == 3 * 256 / 1024 and view.budget.macs == 3 * 256 * 3560

    def test_every_epoch_has_all_points_in_another_order(self, problem: Problem) -> None:
        task = begin(problem, 1).task
        orders = [[number for batch in task.batches(300, epoch) for number in batch.tolist()] for epoch in (0, 0, 1)]
        assert orders[0] == orders[1] != orders[2]
        assert sorted(orders[0]) == sorted(orders[2]) == list(range(1024))

    @pytest.mark.parametrize("row", ROWS)
    def test_every_row_repeats_itself_and_ends_with_its_budget(self, problem: Problem, row: str) -> None:
        traces = []
        info = registry.method("prune")
        values = {**registry.settings(info, row, problem.space.name, {}, {}), "epochs": EPOCHS, "strengths": (1e-4, 1.0)}
        for limit in (None, None, 2.5):
            trace = Trace()
            view = begin(problem, 1, Ledger("epochs", limit) if limit else None, trace)
            try:
                registry.build(info, values).search(view)
            except BudgetExhausted:
                assert limit
            traces.append(trace)
        assert traces[0].proposals == traces[1].proposals and traces[0].scalars == traces[1].scalars
        assert len(traces[0].proposals) == 2 and not traces[2].proposals
        archs = [proposal.arch for proposal in traces[0].proposals]
        assert all(arch in problem.space for arch in archs)
        assert sum(archs[1]) < sum(archs[0]) or values["tolerance"]  # a threshold needs more steps
        for arch, line in zip(archs, traces[0].scalars, strict=True):
            assert line["sparsity"] == pytest.approx(100 * (1 - sum(arch) / 3560))
        assert [line["strength"] for line in traces[0].scalars] == [1e-4, 1.0]

    def test_the_judge_trains_only_the_weights_of_the_proposal(self, problem: Problem) -> None:
        """Without a weight into the classes all images get one class; with all weights ten epochs learn the digits."""
        judge = registry.benchmark("pruning/digits").open({}, {"epochs": 10, "lr": 0.01}).judge
        complete = (1,) * 3560
        headless = (1,) * (3560 - 200) + (0,) * 200
        accuracies = [judge.score(arch, 1)["digits"]["test"] for arch in (complete, headless)]
        assert accuracies[0] > 90 and accuracies[1] < 15
        assert judge.score(complete, 2)["digits"]["test"] != accuracies[0]


def test_twelve_rows_have_the_papers_settings() -> None:
    """D-123: alpha is 0.5 in the sparse group lasso. D-124: five strengths between the paper's ends."""
    info = registry.method("prune")
    optimisers, penalties = ("sgd", "adam", "hapg", "adam_hapg"), ("lasso", "group_lasso", "sparse_group")
    assert info.rows == [f"prune:{optimiser}_{penalty}" for optimiser, penalty in itertools.product(optimisers, penalties)]
    settings = {row: registry.settings(info, row, "", {}, {}) for row in info.rows}
    assert [settings[f"prune:hapg_{penalty}"]["mixture"] for penalty in penalties] == [1.0, 0.0, 0.5]
    assert all((values["epochs"], values["batch"]) == (500, 256) for values in settings.values())
    assert all(tuple(values["strengths"]) == (1e-5, 2e-5, 5e-5, 1e-4, 2e-4) for values in settings.values())
    rates = {name: settings[f"prune:{name}_lasso"] for name in optimisers}
    assert {name: (values["lr"], values["cosine"], values["tolerance"]) for name, values in rates.items()} == {
        "sgd": (0.025, True, 1e-3),
        "adam": (3e-4, False, 1e-3),
        "hapg": (0.05, True, 0.0),
        "adam_hapg": (3e-4, False, 0.0),
    }


def test_the_judge_has_the_papers_training_unless_a_protocol_says_otherwise() -> None:
    """D-125 and D-126."""
    from harness import protocols

    offered = registry.benchmark("pruning/digits")
    recipes = [offered.open({}, protocols.protocol(name).judge).judge.recipe for name in ("pruning-2021", "pruning-digits")]  # type: ignore[attr-defined]
    assert [(recipe.epochs, recipe.lr, recipe.batch) for recipe in recipes] == [(3000, 3e-4, 256), (300, 3e-3, 256)]


@pytest.mark.parametrize(("judge", "words"), [({"epoch": 5}, "there is no 'epoch'|'epoch'"), ({"epochs": 0}, "at least 1")])
def test_a_wrong_setting_of_the_judge_is_refused_with_those_there_are(judge: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=rf"the judge of pruning/digits: .*({words}).*; its settings are epochs, lr, batch"):
        registry.benchmark("pruning/digits").open({}, judge)
    with pytest.raises(UserError, match="pruning/digits has no search settings, not 'recipe'"):
        registry.benchmark("pruning/digits").open({"recipe": 12}, {})


@pytest.mark.parametrize("change", [{"mixture": 1.5}, {"strengths": (2.0, 1.0)}, {"strengths": ()}, {"epochs": 0}, {"lr": 0.0}])
def test_impossible_settings_of_the_method_are_refused(change: dict[str, Any]) -> None:
    info = registry.method("prune")
    with pytest.raises(UserError, match="prune: "):
        registry.build(info, {**registry.settings(info, "prune:hapg_lasso", "", {}, {}), **change})


def test_it_needs_a_network_whose_weights_can_be_pruned() -> None:
    method = registry.build(
        registry.method("prune"), registry.settings(registry.method("prune"), "prune:hapg_lasso", "", {}, {})
    )
    maps = registry.benchmark("feature_maps/digits").open({"digits": {"features": 60, "pool": 8}}, {})
    assert method.skip(maps) == "needs a network whose weights can be pruned"  # type: ignore[attr-defined]
