"""Fully connected networks of one shape, many at a time: initial weights, logits, and gradients of the cross entropy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Networks(NamedTuple):
    """Weights (networks, inputs, outputs) and biases (networks, 1, outputs) of each layer, or their gradients."""

    weights: list[Tensor]
    biases: list[Tensor]

    def masked(self, masks: Sequence[Tensor]) -> Networks:
        """Return the networks without the weights whose mask is False."""
        return Networks([weight * mask for weight, mask in zip(self.weights, masks, strict=True)], self.biases)


def initial(sizes: Sequence[int], count: int, seed: int) -> Networks:
    """Return ``count`` equal networks: normal weights of variance ``2 / (inputs + outputs)`` and biases of 0 (D-121)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = list(itertools.pairwise(sizes))
    weights = [torch.randn(shape, generator=generator) * math.sqrt(2 / sum(shape)) for shape in shapes]
    return Networks(
        [weight.repeat(count, 1, 1) for weight in weights], [torch.zeros(count, 1, outputs) for _, outputs in shapes]
    )


def layers(networks: Networks, pixels: Tensor) -> list[Tensor]:
    """Return the inputs of each layer and the logits, (networks, points, units). Hidden units are rectified linear.

    Args:
        pixels: (points, inputs).
    """
    units = [pixels.expand(len(networks.weights[0]), *pixels.shape)]
    for weight, bias in zip(*networks, strict=True):
        hidden = len(units) < len(networks.weights)
        outputs = torch.baddbmm(bias, units[-1], weight)
        units.append(outputs.relu_() if hidden else outputs)
    return units


def gradients(networks: Networks, pixels: Tensor, labels: Tensor) -> Networks:
    """Return the gradients of each network's mean cross entropy.

    In closed form: recording and replaying the pass takes longer than computing it at this size.

    Args:
        labels: int64 (points,).
    """
    units = layers(networks, pixels)
    slopes = units.pop().softmax(-1)
    slopes[:, torch.arange(len(labels)), labels] -= 1
    slopes /= len(labels)
    weights, biases = [], []
    for inputs, weight in zip(reversed(units), reversed(networks.weights), strict=True):
        weights.append(inputs.transpose(1, 2) @ slopes)
        biases.append(slopes.sum(1, keepdim=True))
        if len(weights) < len(units):
            slopes = (slopes @ weight.transpose(1, 2)).mul_(inputs > 0)
    return Networks(weights[::-1], biases[::-1])


def accuracies(networks: Networks, pixels: Tensor, labels: Tensor) -> list[float]:
    """Return the accuracy of each network, percent."""
    right = layers(networks, pixels)[-1].argmax(-1) == labels
    return [100 * share for share in right.double().mean(1).tolist()]
