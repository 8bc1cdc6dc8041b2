"""The search of :class:`methods.pruning.prune.Prune`: train a network for each strength of the penalty, and prune it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.view import SearchView
from methods.pruning.parts.steps import Gradient, Proximal, Steps

if TYPE_CHECKING:
    from methods.pruning.prune import Prune


def search(view: SearchView, settings: Prune) -> None:
    """Train, prune, and propose what remains of the network of each strength, the strongest last."""
    task = view.task
    networks = task.initial(len(settings.strengths))
    kind = Proximal if settings.optimiser.endswith("hapg") else Gradient
    adam = settings.optimiser.startswith("adam")
    steps: Steps = kind(networks.weights, networks.biases, settings.strengths, settings.mixture, adam=adam)
    for epoch in view.epochs(settings.epochs):
        rate = settings.lr * (0.5 * (1 + math.cos(math.pi * epoch / settings.epochs)) if settings.cosine else 1.0)
        for batch in task.batches(settings.batch, epoch):
            gradients = task.gradients(networks, batch)
            steps.step(gradients.weights, gradients.biases, rate)
    remaining = masks(steps.sparse, settings.tolerance)
    accuracies = task.validate(networks._replace(weights=steps.sparse).masked(remaining))
    for number, strength in enumerate(settings.strengths):
        of_network = [mask[number] for mask in remaining]
        view.propose(tuple(torch.cat([mask.flatten() for mask in of_network]).int().tolist()))
        view.log(strength=strength, pruned_accuracy=accuracies[number], **sizes(of_network))


def masks(weights: list[Tensor], tolerance: float) -> list[Tensor]:
    """Return the weights (networks, inputs, outputs) of each layer that remain, bool.

    A weight remains if it is not zero, or if its absolute value is at least the tolerance. A neuron whose outgoing weights
    are all pruned loses its incoming weights too.
    """
    remaining = [weight.abs() >= tolerance if tolerance else weight != 0 for weight in weights]
    for before, after in reversed(list(itertools.pairwise(remaining))):
        before &= after.any(2).unsqueeze(1)
    return remaining


def sizes(masks: list[Tensor]) -> dict[str, float]:
    """Return the inputs and the hidden neurons with an outgoing weight, and the share of pruned weights in percent.

    Args:
        masks: (inputs, outputs) of each layer of one network.
    """
    units = [int(mask.any(1).sum()) for mask in masks]
    total, present = sum(mask.numel() for mask in masks), sum(int(mask.sum()) for mask in masks)
    return {"inputs": units[0], "neurons": sum(units[1:]), "sparsity": 100 * (1 - present / total)}
