"""Epochs over images on a device. All random numbers of an epoch are drawn at its start; then a batch depends on its step only.

An epoch therefore needs no synchronisation, and a search can resume at any step. It restores the state of its generator at the
start of the epoch, makes the epoch again, and continues at that step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.images.augment import PLAIN, Augmentation, Draws, Resident, augment, draw


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of one epoch, made on demand: ``batches[step]`` is images and labels."""

    data: Resident
    rows: Tensor
    """int64: the numbers of the images, in the order of the epoch."""
    size: int
    draws: Draws
    augmentation: Augmentation = PLAIN
    drop_last: bool = False
    """Drop a last batch that is not full."""
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a batch of {self.size} images")

    def __len__(self) -> int:
        return len(self.rows) // self.size if self.drop_last else math.ceil(len(self.rows) / self.size)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return images (n, channels, height, width), channels last in memory, and labels int64 (n,)."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        part = slice(step * self.size, (step + 1) * self.size)
        rows = self.rows[part]
        return augment(self.data, rows, self.augmentation, self.draws[part], self.dtype), self.data.labels[rows]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[step] for step in range(len(self)))


def epoch(
    data: Resident,
    size: int,
    generator: torch.Generator,
    augmentation: Augmentation,
    drop_last: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Batches:
    """Return an epoch with every image once, shuffled. ``generator`` must be on the device of ``data``.

    The loaders of DARTS, PC-DARTS, GAEA, CoNAS and AutoDL keep a last batch that is not full, which is the default.
    """
    rows = torch.randperm(len(data), generator=generator, device=data.images.device)
    return _augmented(data, rows, size, generator, augmentation, drop_last, dtype)


def search_epoch(
    weights: Resident,
    architecture: Resident,
    size: int,
    generator: torch.Generator,
    augmentation: Augmentation,
    drop_last: bool = False,
    dtype: torch.dtype = torch.float32,
) -> tuple[Batches, Batches]:
    """Return AutoDL's pair of epochs: the weight split shuffled, each image with a partner from the architecture split.

    The partner is drawn uniformly with replacement; both are augmented. Both epochs have the same number of steps. AutoDL
    keeps a last batch that is not full: 25 000 images in batches of 64 are 391 steps, the last of 40 images.
    """
    first = epoch(weights, size, generator, augmentation, drop_last, dtype)
    device = architecture.images.device
    partners = torch.randint(len(architecture), (len(weights),), generator=generator, device=device)
    return first, _augmented(architecture, partners, size, generator, augmentation, drop_last, dtype)


def reshuffled(
    data: Resident,
    size: int,
    steps: int,
    generator: torch.Generator,
    augmentation: Augmentation,
    dtype: torch.dtype = torch.float32,
) -> Batches:
    """Return ``steps`` batches, each the first batch of a new shuffle. An image occurs at most once in a batch.

    These are the validation batches of DARTS, PC-DARTS and GAEA in the DARTS space, where each step makes a new loader.
    """
    size = min(size, len(data))
    device = data.images.device
    rows = torch.cat([torch.randperm(len(data), generator=generator, device=device)[:size] for _ in range(steps)])
    return _augmented(data, rows, size, generator, augmentation, False, dtype)


def iterated(
    data: Resident,
    size: int,
    steps: int,
    generator: torch.Generator,
    augmentation: Augmentation,
    dtype: torch.dtype = torch.float32,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return ``steps`` batches of one shuffle after the other. Every image comes once before one comes twice.

    The last batch of a shuffle may be smaller. These are the validation batches of NAS-Bench-1Shot1, which starts a new loader
    when an epoch starts and when the loader ends.
    """
    shuffles = math.ceil(steps / math.ceil(len(data) / size))
    rounds = [epoch(data, size, generator, augmentation, dtype=dtype) for _ in range(shuffles)]
    return itertools.islice(itertools.chain.from_iterable(rounds), steps)


def in_order(data: Resident, size: int, dtype: torch.dtype = torch.float32) -> Batches:
    """Return every image once, in order and without augmentation, for evaluation."""
    return Batches(data, torch.arange(len(data), device=data.images.device), size, Draws(None, None, None, None), dtype=dtype)


def _augmented(
    data: Resident,
    rows: Tensor,
    size: int,
    generator: torch.Generator,
    augmentation: Augmentation,
    drop_last: bool,
    dtype: torch.dtype,
) -> Batches:
    draws = draw(augmentation, len(rows), data, generator)
    return Batches(data, rows, size, draws, augmentation, drop_last, dtype)
