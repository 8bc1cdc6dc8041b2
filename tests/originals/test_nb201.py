"""The supernet of NAS-Bench-201 and what DARTS, GDAS, SETN and ENAS compute on it, against their definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.nb201.macro import Macro
from benchmarks.nb201.network import CONV1, CONV3
from benchmarks.nb201.supernet import Supernet
from harness.weight_sharing import Rules
from methods.one_shot.parts.architecture import HardGumbel, SoftmaxAdam, likeliest, mixture
from methods.one_shot.parts.controller import Adam, Controller
from tests.originals.layers import cross_entropy, perturb, softmax
from tests.originals.plain_nb201 import OPERATIONS, PlainNetwork

MACRO = Macro(width=4, depth=2, channels=3, size=8, affine=False)
LABELS = torch.tensor([3, 1, 4, 1, 5])


def images(seed: int = 1) -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def supernet(track: bool = False, plain_last: bool = False) -> Supernet:
    net = Supernet(MACRO, track=track, plain_last=plain_last, seed=3)
    perturb(net.module.double())
    return net


def plain(net: Supernet, track: bool = False, plain_last: bool = False) -> PlainNetwork:
    """Return the plain network with the weights of the supernet: the same tensors, named one by one."""
    weights: dict[str, Tensor] = {}
    for op in (CONV1, CONV3):
        for name, value in net.shared_with((op,) * 6).items():
            if name.startswith("stages."):
                _, stage, depth, edge, *_ = name.split(".")
                name = f"stages.{stage}.{depth}.{edge}.{OPERATIONS[op]}.weight"
            weights[name] = value
    return PlainNetwork(weights, MACRO.depth, track, plain_last)


def search(net: Supernet, seed: int = 7) -> Any:
    """Return what architecture parameters read of a search."""
    return SimpleNamespace(
        net=net,
        task=SimpleNamespace(rules=Rules()),
        device=torch.device("cpu"),
        new_generator=lambda name: torch.Generator().manual_seed(seed),
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
    )


def logits_table(net: Supernet) -> SoftmaxAdam:
    """Return logits of different size."""
    table = SoftmaxAdam(search(net), 3e-4, 1e-3)
    table.values = [(1000 * value.detach().double()).requires_grad_() for value in table.values]
    return table


def gradients(net: Supernet, logits: Tensor, table: Tensor) -> list[Tensor]:
    """Return the logits, their gradient by the architecture, and by all weights."""
    own = list(net.module.parameters())
    return [
        logits,
        *torch.autograd.grad(cross_entropy(logits, LABELS), [table, *own], allow_unused=True, materialize_grads=True),
    ]


@pytest.mark.parametrize("plain_last", [False, True])
def test_darts_logits_and_gradients(plain_last: bool) -> None:
    net, x = supernet(plain_last=plain_last), images()
    architecture = logits_table(net)
    forward = mixture(architecture)
    ours = gradients(net, net(x, forward.weights, forward.active), architecture.values[0])
    (alpha,) = architecture.values
    expected = gradients(net, plain(net, plain_last=plain_last).darts(x, softmax(alpha)), alpha)
    assert expected[1].abs().min() > 1e-9, "every operation has a gradient"
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("plain_last", [False, True])
@pytest.mark.parametrize("track", [False, True])
def test_norms_keep_the_running_statistics_that_they_keep_in_the_benchmarks_code(track: bool, plain_last: bool) -> None:
    """D-53: ``track`` reaches the cells alone. D-54: NATS-Bench's last norm is like those inside the cells."""
    net = supernet(track, plain_last)
    weights = softmax(torch.randn(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    network = plain(net, track, plain_last)
    with torch.no_grad():
        for seed in range(4):  # statistics move
            torch.testing.assert_close(
                net(images(seed), [weights]), network.darts(images(seed), weights), rtol=1e-9, atol=1e-11
            )
        net.module.eval()
        network.training = False
        ours, expected = net(images(9), [weights]), network.darts(images(9), weights)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("temperature", [10.0, 0.7])
def test_gdas_logits_and_gradients_under_the_same_noise(temperature: float) -> None:
    """Straight-through: the operation that was drawn runs, the weights of the others enter as numbers."""
    net, x = supernet(), images()
    architecture = logits_table(net)
    gumbel = HardGumbel(search(net, 11))
    gumbel.temperature = temperature
    forward = gumbel(architecture)
    ours = gradients(
        net, net(x, forward.weights, forward.active, straight_through=forward.straight_through), architecture.values[0]
    )
    (alpha,) = architecture.values
    noise = -torch.empty(6, 5, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(11)).log()
    soft = softmax((softmax(alpha).log() + noise) / temperature)
    hard = F.one_hot(soft.argmax(-1), 5).double() - soft.detach() + soft
    expected = gradients(net, plain(net).gdas(x, hard), alpha)
    assert expected[1].abs().max() > 1e-6
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("ops", [(3, 2, 4, 1, 3, 2), (0, 3, 1, 4, 0, 2), (0,) * 6])
def test_a_single_cell_as_setn_and_enas_train_it(ops: tuple[int, ...]) -> None:
    net, x = supernet(), images()
    unused = torch.zeros((), dtype=torch.float64, requires_grad=True)
    ours = gradients(net, net(x, None, net.active_for(ops)), unused)
    expected = gradients(net, plain(net).single(x, ops), unused)
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("ties", [False, True])
def test_the_hundred_likeliest_cells_are_those_of_the_sorted_list_of_all(ties: bool) -> None:
    """SETN lists all 15 625 cells, the last edge fastest, and sorts them by log-probability; equal ones stay in order."""
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    if ties:
        logits = torch.tensor([0.0, 1.0, 1.0, 2.0, 2.0]).double().expand(6, 5)
    table = softmax(logits).log().tolist()
    cells = list(itertools.product(range(5), repeat=6))
    scores = [sum(row[op] for row, op in zip(table, cell, strict=True)) for cell in cells]
    if ties:  # equal sums of equal terms in another order differ by rounding
        scores = [round(score, 9) for score in scores]
    best = [cells[k] for k in sorted(range(len(cells)), key=lambda k: -scores[k])[:100]]
    drawn = likeliest([softmax(logits)], 100)
    assert [tuple(choice[0].argmax(-1).tolist()) for choice in drawn] == best


def lstm(weights: Mapping[str, Tensor], layer: int, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return output and memory of an LSTM cell, gate by gate: input, forget, candidate, output."""
    h, c = state
    sums = (
        x @ weights[f"lstm.weight_ih_l{layer}"].T
        + weights[f"lstm.bias_ih_l{layer}"]
        + h @ weights[f"lstm.weight_hh_l{layer}"].T
        + weights[f"lstm.bias_hh_l{layer}"]
    )
    enters, forgets, candidate, leaves = sums.chunk(4, -1)
    memory = torch.sigmoid(forgets) * c + torch.sigmoid(enters) * torch.tanh(candidate)
    return torch.sigmoid(leaves) * torch.tanh(memory), memory


def test_log_probability_and_entropy_of_enas_controller() -> None:
    """Two LSTM layers, then 2.5 tanh(logits / 5); an operation's embedding is the next input."""
    controller = Controller(supernet().decisions, torch.Generator().manual_seed(1), Adam(1e-3))
    controller.net.double()
    with torch.no_grad():
        for value in controller.parameters:
            value.mul_(8)  # else all choices are nearly equal
    drawn = controller.sample(20, torch.Generator().manual_seed(2))
    weights = dict(controller.net.named_parameters())
    for sample in range(20):
        states = [(torch.zeros(32, dtype=torch.float64),) * 2] * 2
        x = controller.net.start[0]
        log_probability, entropy = torch.zeros((), dtype=torch.float64), 0.0
        for op in drawn.options[sample].tolist():
            for layer in range(2):
                states[layer] = lstm(weights, layer, x, states[layer])
                x = states[layer][0]
            logits = 2.5 * torch.tanh((weights["output.weight"] @ x + weights["output.bias"]) / 5)
            p = softmax(logits)
            log_probability = log_probability + p[op].log()
            entropy -= sum(q * math.log(q) for q in p.tolist())
            x = weights["embedding.weight"][op]
        torch.testing.assert_close(drawn.log_probabilities[sample], log_probability, rtol=1e-10, atol=1e-12)
        assert float(drawn.entropies[sample]) == pytest.approx(entropy, abs=1e-10)
    assert drawn.entropies.std() > 1e-3
