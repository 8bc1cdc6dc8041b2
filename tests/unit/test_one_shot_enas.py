"""ENAS: both controllers, rewards and baselines, and the images of rewards and rankings."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import benchmarks
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet
from harness.weight_sharing import Decision
from methods.one_shot.enas import Enas
from methods.one_shot.parts import enas
from methods.one_shot.parts.attention_controller import AttentionController, _Attention
from methods.one_shot.parts.controller import Adam, Drawn, Learner
from methods.one_shot.parts.recording import Recording
from methods.one_shot.parts.search import Search
from tests import made_nb1shot1_search, made_search
from tests.made_nb1shot1_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]


def decisions(number: int) -> tuple[Decision, ...]:
    return Supernet(NB1Shot1Space(number), SearchMacro(width=4, channels=1, stacks=1, depth=1)).decisions


def controller(number: int, seed: int = 1, size: int = 64) -> AttentionController:
    return AttentionController(decisions(number), torch.Generator().manual_seed(seed), Adam(3.5e-4, 0.1), size=size)


# -- the controller of NAS-Bench-1Shot1 ------------------------------------------------------------------------------------


def plain(net: _Attention, parents: dict[int, int], picked: dict[int, list[int]], operations: list[int]) -> list[Tensor]:
    """Return log probability and entropy of one sequence, in the words of the code: nodes 2 to n + 1, one at a time.

    Args:
        parents: number of inputs of each node.
        picked: the inputs of each node, in the order in which they were drawn.
        operations: the operation of each block.
    """
    cell, h, c = net.lstm, torch.zeros(1, net.key.in_features).double(), torch.zeros(1, net.key.in_features).double()
    word = net.embedding(torch.tensor([0]))
    anchors, keys, log_p, entropy = [], [], [], []
    for _ in range(2):
        h, c = cell(word, (h, c))
        anchors.append(torch.zeros_like(h))
        keys.append(h @ net.key.weight.T)
    for node in parents:
        h, c = cell(word, (h, c))
        scores = torch.cat([torch.tanh(key + h @ net.query.weight.T) @ net.score.weight.T for key in keys], 1)
        p = (2.5 * torch.tanh(scores / 5)).softmax(-1)[0]
        assert len(p) == node and len(picked[node]) == parents[node]
        log_p.append(sum((p[k].log() for k in picked[node]), torch.tensor(0.0)) / parents[node])
        entropy.append(-(p * p.log()).sum())
        h, c = cell(anchors[picked[node][-1]], (h, c))
        logits = (h @ net.output.weight.T + net.bias) / 5
        fixed = torch.tensor([0.25, -0.25, 0.25])  # conv3x3, conv1x1, maxpool3x3
        q = (0.5 * torch.tanh(logits) + fixed).softmax(-1)[0]
        operation = operations[node - 2]
        log_p.append(q[operation].log())
        entropy.append(-(q * q.log()).sum())
        h, c = cell(net.embedding(torch.tensor([operation + 1])), (h, c))
        anchors.append(h)
        keys.append(h @ net.key.weight.T)
    return [torch.stack(log_p).sum(), torch.stack(entropy).sum()]


@pytest.mark.parametrize("number", [2, 3])
def test_log_probabilities_entropies_and_gradients_are_those_of_a_plain_controller(number: int) -> None:
    """D-49. In the first space the inputs of node 2 are drawn too, though they are no choice: see the next test."""
    ours = controller(number, size=8)
    ours.net.double()
    with torch.no_grad():
        for value in ours.net.parameters():
            value.mul_(20 if value.max() < 1 else 1)
    drawn = ours.sample(30, torch.Generator().manual_seed(2))
    taken = NB1Shot1Space(number).taken
    parents = {node: taken[node - 1] for node in range(2, len(taken) + 1)}
    log_p, entropies = [], []
    for row in drawn.options.tolist():
        blocks, choices = row[: len(taken) - 1], iter(row[len(taken) - 1 :])
        picked = {len(taken): [next(choices) for _ in range(taken[-1])]}
        picked |= {node: [next(choices) for _ in range(taken[node - 1])] for node in range(2, len(taken))}
        values = plain(ours.net, parents, picked, blocks)
        log_p.append(values[0])
        entropies.append(values[1])
    torch.testing.assert_close(drawn.log_probabilities, torch.stack(log_p), rtol=0, atol=1e-10)
    torch.testing.assert_close(drawn.entropies, torch.stack(entropies), rtol=0, atol=1e-10)
    weights = list(ours.net.parameters())
    advantages = torch.linspace(-1, 2, 30, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((advantages * torch.stack(list(values))).sum(), weights, retain_graph=True)
        for values in (drawn.log_probabilities, log_p)
    ]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
        assert a.any()
    assert len({tuple(row) for row in drawn.options.tolist()}) > 20


def test_a_node_that_takes_all_its_inputs_counts_but_is_no_decision() -> None:
    first = controller(1)
    nodes = {decision.targets[0] for decision in first.decisions if decision.kind == "edge"}
    assert nodes == {3, 4, 5}
    drawn = first.sample(10, torch.Generator().manual_seed(0))
    # at first inputs are about equally likely: node 2 adds ln(1/2), the others the mean of two of their inputs
    biased = [0.4212, 0.1576, 0.4212]
    operations = drawn.options[:, :4]
    expected = sum(math.log(1 / node) for node in (2, 3, 4, 5)) + torch.tensor(biased)[operations].log().sum(1)
    torch.testing.assert_close(drawn.log_probabilities, expected, rtol=0, atol=0.02)
    entropy = sum(math.log(node) for node in (2, 3, 4, 5)) - 4 * sum(p * math.log(p) for p in biased)
    torch.testing.assert_close(drawn.entropies, torch.full((10,), entropy), rtol=0, atol=0.01)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_without_training_pooling_and_conv3x3_are_likelier(number: int) -> None:
    """D-49: shares .42, .42 and .16."""
    untrained = controller(number)
    names = untrained.decisions[0].options
    drawn = untrained.sample(6000, torch.Generator().manual_seed(3))
    blocks = untrained.decisions[0].rows
    counts = torch.bincount(drawn.options[:, :blocks].flatten(), minlength=3) / (6000 * blocks)
    shares = dict(zip(names, counts.tolist(), strict=True))
    assert shares == pytest.approx({"maxpool3x3": 0.42, "conv3x3": 0.42, "conv1x1": 0.16}, abs=0.015)


def test_weights_start_small_and_the_output_has_no_bias_but_the_learnt_one() -> None:
    net = controller(1).net
    names = dict(net.named_parameters())
    assert set(names) == {
        *(f"lstm.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        *(f"{name}.weight" for name in ("embedding", "output", "key", "query", "score")),
        "bias",
    }
    assert names.pop("bias").tolist() == [10, 0, 10]
    for value in names.values():
        assert value.abs().max() <= 0.1
    assert max(value.abs().max() for value in names.values()) > 0.0999
    assert [net.embedding.num_embeddings, net.lstm.hidden_size] == [4, 64]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_its_cells_are_in_the_space_and_it_learns(number: int) -> None:
    space = NB1Shot1Space(number)
    net = Supernet(space, SearchMacro(width=4, channels=1, stacks=1, depth=1))
    learner = AttentionController(net.decisions, torch.Generator().manual_seed(1), Adam(0.1, 0.1))
    generator = torch.Generator().manual_seed(4)

    def likely(drawn: Drawn) -> list[float]:
        return [float(tables[0][0, 1]) for tables in drawn.tables()]  # the first block is conv1x1

    before = likely(learner.sample(500, generator))
    for _ in range(60):
        drawn = learner.sample(20, generator)
        learner.reinforce(drawn, [10 * (reward - 0.2) for reward in likely(drawn)], 0.0)
    after = learner.sample(500, generator)
    assert sum(likely(after)) > 2 * sum(before), "its bounds allow .45; it started at .16"
    archs = [net.derive(tables, random.Random(0)) for tables in after.tables()[:50]]
    assert all(arch in space for arch in archs)
    for arch, tables in zip(archs, after.tables(), strict=False):
        assert [list(row) for decision in net.active_for(arch) for row in decision] == [
            row.nonzero().flatten().tolist() for table in tables for row in table
        ]


def test_a_controller_resumes() -> None:
    first, second = controller(3, 1, 8), controller(3, 2, 8)
    generator = torch.Generator().manual_seed(0)
    first.reinforce(first.sample(4, generator), [1.0] * 4, 0.0)
    first.baseline = 3.0
    second.load_state_dict(first.state_dict())
    options = [part.sample(9, torch.Generator().manual_seed(5)).options for part in (first, second)]
    assert torch.equal(*options) and second.baseline == 3.0


def test_zero_does_not_clip() -> None:
    steps = []
    for clip in (0.0, 1e9, 1e-6):
        learner = controller(1)
        before = nn.utils.parameters_to_vector(learner.parameters).clone()
        drawn = learner.sample(3, torch.Generator().manual_seed(1))
        learner.reinforce(drawn, [40.0] * 3, clip)
        steps.append(nn.utils.parameters_to_vector(learner.parameters) - before)
    assert torch.equal(steps[0], steps[1]) and steps[0].norm() > 100 * steps[2].norm()


# -- rewards and baselines ---------------------------------------------------------------------------------------------------


class Spy:
    """Notes the advantages of a search whose cells all have the accuracies of ``percent``, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, percent: Sequence[float]) -> None:
        self.advantages: list[float] = []
        self.learner: Learner | None = None
        accuracies = iter(percent)

        def score(search: Search, batch: object, forward: object) -> tuple[Tensor, Tensor]:
            return torch.tensor(next(accuracies)), torch.tensor(0.0)

        def reinforce(learner: Learner, drawn: Drawn, advantages: Sequence[float], clip: float) -> None:
            self.advantages += advantages
            self.learner = learner

        monkeypatch.setattr(Search, "score", score)
        monkeypatch.setattr(Learner, "reinforce", reinforce)


def taught(settings: Enas, epochs: int) -> None:
    """Teach the controller for some epochs, without training weights."""
    search = Search(made_nb1shot1_search.view(), settings)
    learner = enas._controller(search, settings)
    for epoch in range(epochs):
        search.epoch = epoch
        enas._teach(search, learner, settings, epoch)


def settings_of(row: Any, **changes: Any) -> Enas:
    method = row.method("enas", **changes)
    assert isinstance(method, Enas)
    return method


def test_rewards_are_in_percent_and_the_baseline_starts_from_zero_in_nb1shot1(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-49."""
    spy = Spy(monkeypatch, [40.0, 50.0, 60.0, 60.0])
    taught(settings_of(made_nb1shot1_search, entropy_bonus=0.0), 2)
    baseline, expected = 0.0, []
    for reward in (40.0, 50.0, 60.0, 60.0):
        baseline += 0.01 * (reward - baseline)
        expected.append(reward - baseline)
    assert spy.advantages == pytest.approx(expected)
    assert spy.advantages[0] == pytest.approx(39.6)


def test_the_baseline_moves_by_epoch_to_the_last_or_the_mean_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-50, NATS-Bench: the mean. NAS-Bench-201: that of the last sample."""
    percent = [40.0, 50.0, 60.0, 80.0]
    common = {
        "controller": "nb201",
        "entropy_bonus": 0.0,
        "reward_unit": "share",
        "first_baseline": "own",
        "controller_samples": 2,
        "controller_steps": 1,
    }
    for moves, before in (("every_epoch", 0.5), ("epoch_mean", 0.45)):
        spy = Spy(monkeypatch, percent)
        taught(settings_of(made_nb1shot1_search, baseline_moves=moves, **common), 2)
        assert spy.advantages == pytest.approx([0, 0, 0.99 * (0.6 - before), 0.99 * (0.8 - before)])


def test_adam_has_the_settings_of_the_controller() -> None:
    """D-51."""
    changed = {"controller_lr": 3e-4, "controller_beta": 0.5, "controller_eps": 1e-8, "controller_decay": 1e-3}
    for row in (made_nb1shot1_search, made_search):
        settings = settings_of(row, **changed)
        learner = enas._controller(Search(row.view(), settings), settings)
        adam = learner._adam
        assert (adam.lr, adam.betas, adam.eps, adam.decay) == (3e-4, (0.5, 0.999), 1e-8, 1e-3)


# -- images ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "rewards", "rankings"),
    [
        ({}, ("augmented", 8), ("augmented", 128)),
        ({"ranked_on": "plain", "selection_batch": 64}, ("augmented", 8), ("plain", 64)),
        ({"rewarded_on": "plain", "reward_batch": 12}, ("plain", 12), ("augmented", 128)),
    ],
)
def test_images_of_rewards_and_rankings(
    changes: dict[str, Any], rewards: tuple[str, int], rankings: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-50. By default both are augmented, as in NAS-Bench-201's code, with as many images as a step has, or 128."""
    method = Enas(**{"epochs": 1, "batch": 8, "controller_steps": 1, "controller_samples": 3, "candidates": 4, **changes})
    view = made_search.view()
    task = view.task
    shown: list[tuple[str, int, int]] = []
    batches, plain_batch = task.batches, task.plain

    def augmented(part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Any:
        for images in batches(part, batch, epoch, stream, cutout):
            if part == "valid":
                shown.append(("augmented", batch, -1))
            yield images

    def plain_one(part: str, batch: int, number: int) -> Any:
        shown.append(("plain", batch, number))
        return plain_batch(part, batch, number)

    def record(search: Search, *_: object, **__: object) -> None:
        shown.append(("recorded", 0, 0))

    monkeypatch.setattr(task, "batches", augmented)
    monkeypatch.setattr(task, "plain", plain_one)
    monkeypatch.setattr(Search, "record", record)
    monkeypatch.setattr(Recording, "final", lambda *rest: None)
    method.search(view)
    ended = shown.index(("recorded", 0, 0))
    assert [entry[:2] for entry in shown[:ended]] == [rewards] * 3
    assert [entry[:2] for entry in shown[ended + 1 :]] == [rankings] * 4
    for part in (shown[:ended], shown[ended + 1 :]):
        numbers = [number for kind, _, number in part if kind == "plain"]
        assert numbers == list(range(len(numbers)))


def test_later_epochs_are_rewarded_on_later_plain_images() -> None:
    search = Search(made_nb1shot1_search.view(), settings_of(made_nb1shot1_search))
    later = search.validation(4, "plain", "controller", first=2)
    assert torch.equal(next(later)[0], search.task.plain("valid", 4, 2)[0])
    first = next(search.validation(4, "augmented", "controller"))[0]
    search.epoch = 1
    assert not torch.equal(first, next(search.validation(4, "augmented", "controller"))[0])


# -- presets -----------------------------------------------------------------------------------------------------------------


def test_nats_2021_has_the_settings_of_nats_benchs_enas() -> None:
    protocols = tomllib.loads((Path(benchmarks.__file__).parent / "protocols.toml").read_text())
    preset = Enas(**protocols["nats-2021"]["one-shot"]["settings"]["enas"])
    assert (preset.controller_beta, preset.baseline_moves) == (0.5, "epoch_mean")
    assert (preset.rewarded_on, preset.reward_batch, preset.ranked_on, preset.selection_batch) == ("plain", 512, "plain", 512)
    assert (preset.controller, preset.controller_steps, preset.controller_samples) == ("nb201", 50, 20)


def test_nb1shot1_has_its_own_controller_where_operations_stand_on_nodes() -> None:
    preset = settings_of(made_nb1shot1_search, controller_steps=300, controller_size=64, selection_batch=64)
    assert (preset.controller, preset.controller_clip, preset.reward_unit, preset.ranked_on) == (
        "nb1shot1",
        0,
        "percent",
        "plain",
    )
    assert (preset.controller_lr, preset.controller_beta, preset.controller_eps) == (3.5e-4, 0.1, 1e-3)
    assert made_search.skipped("enas") is None
    assert "chooses the inputs of nodes" in (made_search.skipped("enas", controller="nb1shot1") or "")
