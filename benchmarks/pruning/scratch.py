"""Training from scratch of a sub-network, by the judge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from benchmarks.pruning import network
from benchmarks.pruning.data import Points
from benchmarks.pruning.recipe import Recipe
from harness.seeds import derive
from harness.space import Arch


def masks(arch: Arch, sizes: Sequence[int]) -> list[torch.Tensor]:
    """Return the masks (1, inputs, outputs) of each layer."""
    shapes = list(itertools.pairwise(sizes))
    parts = torch.tensor(arch, dtype=torch.float32).split([inputs * outputs for inputs, outputs in shapes])
    return [part.view(1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def train(arch: Arch, sizes: Sequence[int], recipe: Recipe, world: int, points: Points, *tested: Points) -> list[float]:
    """Train a sub-network from new initial weights, and return its accuracy on each of the tested parts, percent.

    Args:
        world: with ``"judge"`` the seed of initial weights and batches, which differ from those of the search.
    """
    pruned = masks(arch, sizes)
    networks = network.initial(sizes, 1, derive("initial", world, "judge")).masked(pruned)
    parameters = [*networks.weights, *networks.biases]
    optimizer = torch.optim.Adam(parameters, recipe.lr, betas=(0.5, 0.999), fused=True)
    pixels, labels = (torch.from_numpy(values) for values in (points.pixels, points.labels))
    generator = torch.Generator().manual_seed(derive("order", world, "judge"))
    for _ in range(recipe.epochs):
        for batch in torch.randperm(len(labels), generator=generator).split(recipe.batch):
            gradients = network.gradients(networks, pixels[batch], labels[batch]).masked(pruned)
            for parameter, gradient in zip(parameters, [*gradients.weights, *gradients.biases], strict=True):
                parameter.grad = gradient
            optimizer.step()
    return [network.accuracies(networks, *map(torch.from_numpy, (part.pixels, part.labels)))[0] for part in tested]
