"""Steps on many penalised networks at once are those of the single optimisers, and what they prune is counted as defined."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks.pruning import network
from benchmarks.pruning.network import Networks
from methods.one_shot.parts.proximal import AdamHapg, Hapg, hierarchical_prox, sparse_group_lasso
from methods.pruning.parts import path
from methods.pruning.parts.steps import Gradient, Proximal, grouped_prox, slope

SIZES = (6, 5, 4, 3)
STRENGTHS = (0.01, 0.3)


def random_networks(seed: int = 0, count: int = 2) -> Networks:
    generator = torch.Generator().manual_seed(seed)
    shapes = list(itertools.pairwise(SIZES))
    weights = [torch.randn(count, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return Networks(weights, [torch.randn(count, 1, n, generator=generator, dtype=torch.float64) for _, n in shapes])


def test_gradients_are_those_of_automatic_differentiation() -> None:
    networks = random_networks()
    generator = torch.Generator().manual_seed(1)
    pixels, labels = torch.rand(7, 6, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    parameters = [values.clone().requires_grad_() for part in networks for values in part]
    units = pixels.expand(2, 7, 6)
    for number, (weight, bias) in enumerate(zip(parameters[:3], parameters[3:], strict=True)):
        units = units @ weight + bias
        units = units.relu() if number < 2 else units
    loss = torch.stack([cross_entropy(logits, labels) for logits in units]).sum()
    expected = torch.autograd.grad(loss, parameters)
    ours = network.gradients(networks, pixels, labels)
    for gradient, wanted in zip([*ours.weights, *ours.biases], expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-14)


def test_the_same_world_gives_equal_networks_with_normal_weights_of_glorot() -> None:
    networks = network.initial((64, 40, 20, 10), 3, seed=5)
    for weight, (inputs, outputs) in zip(networks.weights, itertools.pairwise((64, 40, 20, 10)), strict=True):
        assert torch.equal(weight[0], weight[2]) and weight.shape == (3, inputs, outputs)
        assert float(weight[0].std()) == pytest.approx((2 / (inputs + outputs)) ** 0.5, rel=0.15)
    assert not any(bias.any() for bias in networks.biases)
    assert not torch.equal(networks.weights[0], network.initial((64, 40, 20, 10), 3, seed=6).weights[0])


@pytest.mark.parametrize("length", [4, 5])
def test_the_proximal_point_of_rows_is_that_of_groups(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    z = torch.randn(3, length, generator=generator, dtype=torch.float64)
    z[1] = 0
    steps = torch.rand(3, length, generator=generator, dtype=torch.float64)
    strengths = torch.tensor([0.1, 0.5, 9.0], dtype=torch.float64)
    ours = grouped_prox(z, steps, steps.quantile(0.5, dim=1), strengths, 0.5)
    for row, step, strength, point in zip(z, steps, strengths.tolist(), ours, strict=True):
        torch.testing.assert_close(point, hierarchical_prox(row, step, strength, 0.5, [length]))
    assert ours[0].any() and not ours[1:].any()


@pytest.mark.parametrize("mixture", [0.0, 0.5, 1.0])
def test_the_slope_of_the_penalty_is_its_gradient_and_zero_at_zeros(mixture: float) -> None:
    weights = torch.randn(4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weights[1], weights[2, 3] = 0, 0
    weights.requires_grad_()
    strengths = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    rows = zip(weights, strengths.tolist(), strict=True)
    penalty = torch.stack([sparse_group_lasso(row, strength, mixture, [5]) for row, strength in rows]).sum()
    (expected,) = torch.autograd.grad(penalty, weights)
    torch.testing.assert_close(slope(weights.detach(), strengths, mixture), expected)
    assert not expected[1].any()


@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("mixture", [0.0, 0.5, 1.0])
def test_proximal_steps_are_those_of_the_single_optimisers(adam: bool, mixture: float) -> None:
    """All networks together, against :class:`Hapg` on the weights of one network at a time."""
    networks, gradients = random_networks(), [random_networks(seed) for seed in range(1, 7)]
    single: dict[tuple[int, int], Any] = {}
    for number, strength in enumerate(STRENGTHS):
        for layer, weight in enumerate(networks.weights):
            kind = AdamHapg if adam else Hapg
            optimiser = kind(weight[number].clone(), [weight.shape[2]] * weight.shape[1], mixture)
            for gradient in gradients:
                optimiser.step(gradient.weights[layer][number], 0.05, strength)
            single[number, layer] = optimiser
    steps = Proximal(*networks, STRENGTHS, mixture, adam=adam)
    for gradient in gradients:
        steps.step(*gradient, 0.05)
    for (number, layer), optimiser in single.items():
        torch.testing.assert_close(networks.weights[layer][number], optimiser.weights, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(steps.sparse[layer][number], optimiser.sparse, rtol=1e-10, atol=1e-12)
        assert torch.equal(steps.sparse[layer][number] == 0, optimiser.sparse == 0)


def test_biases_have_no_penalty() -> None:
    """Two strengths, the same gradients: the biases stay equal, and are those of HAPG without a penalty."""
    networks = random_networks()
    for bias in networks.biases:
        bias[1] = bias[0]
    plain = [Hapg(bias[0].clone(), [bias[0].numel()]) for bias in networks.biases]
    steps = Proximal(*networks, STRENGTHS, 0.5, adam=False)
    for seed in (1, 2, 3):
        gradient = random_networks(seed)
        for bias in gradient.biases:
            bias[1] = bias[0]
        steps.step(*gradient, 0.1)
        for optimiser, bias in zip(plain, gradient.biases, strict=True):
            optimiser.step(bias[0], 0.1, 0.0)
    for bias, optimiser in zip(networks.biases, plain, strict=True):
        assert torch.equal(bias[0], bias[1])
        torch.testing.assert_close(bias[0], optimiser.weights)


def test_sgd_adds_the_slope_of_each_networks_penalty() -> None:
    networks, gradients = random_networks(), random_networks(1)
    before = [weight.clone() for weight in networks.weights]
    Gradient(*networks, STRENGTHS, 1.0, adam=False).step(*gradients, 0.1)
    for weight, old, gradient in zip(networks.weights, before, gradients.weights, strict=True):
        for number, strength in enumerate(STRENGTHS):
            torch.testing.assert_close(weight[number], old[number] - 0.1 * (gradient[number] + strength * old[number].sign()))


def test_a_neuron_without_outgoing_weights_loses_its_incoming_weights() -> None:
    """3 inputs, 2 and 2 neurons, 2 classes. The second neuron of the last hidden layer is dead, and with it the first one of
    the layer before, whose only weight enters it; the third input led to that neuron alone."""
    first = torch.tensor([[[1.0, 0.002], [0.0, 1.0], [1.0, 0.0005]]])
    second = torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])
    third = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    remaining = path.masks([first, second, third], 0.001)
    assert [mask[0].int().tolist() for mask in remaining] == [[[0, 1], [0, 1], [0, 0]], [[0, 0], [1, 0]], [[1, 1], [0, 0]]]
    counted = path.sizes([mask[0] for mask in remaining])
    assert counted == {"inputs": 2, "neurons": 2, "sparsity": pytest.approx(100 * 9 / 14)}
    exact = path.masks([first, second, third], 0.0)
    assert exact[0][0].int().tolist() == [[0, 1], [0, 1], [0, 1]]
