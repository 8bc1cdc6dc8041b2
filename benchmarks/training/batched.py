"""Training many networks at once, whatever they are: SGD with Nesterov momentum under a cosine schedule."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.training.grouped import Parameters


class Batched(Protocol):
    """Networks side by side; see :class:`benchmarks.nb201.batched_network.BatchedNetwork`."""

    replicas: int
    parameters: Parameters

    def forward(self, x: Tensor, training: bool) -> Tensor: ...
    def backward(self, gradient: Tensor) -> None: ...


@dataclass(frozen=True)
class Sgd:
    """Hyperparameters of the optimiser. Weight decay acts on every parameter, as in NAS-Bench-201."""

    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4

    def at(self, progress: float) -> float:
        """The learning rate after this part (0 to 1) of the training: a cosine from ``rate`` to 0."""
        return self.rate * 0.5 * (1 + math.cos(math.pi * progress))


Batches = tuple[Tensor, Tensor]
"""One epoch: images (steps, batch, replicas * channels, height, width), channels last; labels (steps, replicas, batch)."""


def train(
    network: Batched, epochs: int, sgd: Sgd, batches: Callable[[int], Batches], after_epoch: Callable[[int], None]
) -> None:
    """Trains in place. Each replica minimises its own mean cross entropy; ``batches`` and ``after_epoch`` take the epoch."""
    with torch.inference_mode():
        for epoch in range(epochs):
            images, labels = batches(epoch)
            for step, (x, y) in enumerate(zip(images, labels, strict=True)):
                network.backward(cross_entropy_gradient(network.forward(x, training=True), y))
                rate = sgd.at((epoch + step / len(images)) / epochs)
                network.parameters.nesterov_step(rate, sgd.momentum, sgd.decay)
            after_epoch(epoch)


def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each replica's mean cross entropy by its logits (replicas, batch, classes); labels (replicas, batch)."""
    gradient = torch.softmax(logits, -1)
    target = labels.unsqueeze(-1)
    gradient.scatter_add_(-1, target, gradient.new_full((1, 1, 1), -1.0).expand(target.shape))
    return gradient.div_(logits.shape[1])


def evaluate(network: Batched, images: Tensor, labels: Tensor, chunk: int = 128) -> tuple[Tensor, Tensor]:
    """Correct answers (int64) and summed cross entropy (float64) of each replica on the same images.

    Args:
        images: (N, channels, height, width), given to every replica.
        labels: (N,).
        chunk: images per pass; affects speed only.
    """
    correct = torch.zeros(network.replicas, dtype=torch.int64, device=images.device)
    loss = torch.zeros(network.replicas, dtype=torch.float64, device=images.device)
    with torch.inference_mode():
        for x, y in zip(torch.split(images, chunk), torch.split(labels, chunk), strict=True):
            every = x.repeat(1, network.replicas, 1, 1).contiguous(memory_format=torch.channels_last)
            logits = network.forward(every, training=False)
            correct += (logits.argmax(-1) == y).sum(1)
            wrong = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).double(), y.repeat(network.replicas), reduction="none"
            )
            loss += wrong.view(network.replicas, -1).sum(1)
    return correct, loss


def keep_memory() -> None:
    """Tells glibc to keep freed memory for the next activation instead of returning it to the system page by page.

    Spares page faults; what it gains varies with the machine and its load. Elsewhere it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_threshold, 2**30)
