"""The training side of pruning in one world: initial networks, batches, and gradients for a price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.pruning import network
from benchmarks.pruning.data import Points
from benchmarks.pruning.network import Networks
from harness.seeds import derive
from harness.training import Meter


class Task:
    """Training task: training points to learn from, validation points to look at.

    A gradient is charged before it is computed: each network's share of an epoch, and the multiply-adds of the forward pass.
    A validation is charged its multiply-adds.
    """

    def __init__(self, sizes: Sequence[int], train: Points, valid: Points, world: int, device: str, charge: Meter) -> None:
        self.sizes = tuple(sizes)
        self._world, self._device, self._charge = world, device, charge
        self._train, self._valid = (
            (torch.from_numpy(part.pixels).to(device), torch.from_numpy(part.labels).to(device)) for part in (train, valid)
        )

    def initial(self, count: int) -> Networks:
        """Return ``count`` equal networks with the world's initial weights."""
        networks = network.initial(self.sizes, count, derive("initial", self._world))
        return Networks(*([values.to(self._device) for values in part] for part in networks))

    def batches(self, size: int, epoch: int) -> Iterator[Tensor]:
        """Yield the numbers of the training points of each batch of an epoch: all points, in the world's order."""
        generator = torch.Generator().manual_seed(derive("order", self._world, epoch))
        yield from torch.randperm(len(self._train[1]), generator=generator).to(self._device).split(size)

    def gradients(self, networks: Networks, batch: Tensor) -> Networks:
        """Return the gradients of the mean cross entropy of each network on the training points of a batch.

        Raises:
            BudgetExhausted: the search is over.
        """
        pixels, labels = self._train
        count = len(networks.weights[0])
        self._charge(epochs=count * len(batch) / len(labels), macs=self._macs(count, len(batch)))
        return network.gradients(networks, pixels[batch], labels[batch])

    def validate(self, networks: Networks) -> list[float]:
        """Return the accuracy of each network on the validation points, percent. Raises :class:`BudgetExhausted`."""
        pixels, labels = self._valid
        self._charge(macs=self._macs(len(networks.weights[0]), len(labels)))
        return network.accuracies(networks, pixels, labels)

    def _macs(self, count: int, points: int) -> float:
        return float(count * points * sum(a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)))
