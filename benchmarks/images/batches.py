"""Epochs over images that lie on a device: everything random is drawn when an epoch begins, then a batch depends on its step.

So nothing is synchronised inside an epoch, and a search resumes anywhere in it: it restores the state that its generator
had when the epoch began, makes the epoch again, and goes on at the step it had come to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.images.augment import PLAIN, Augmentation, Draws, Resident, augment, draw


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of one epoch, each made when it is asked for: ``batches[step]`` is images and labels."""

    data: Resident
    rows: Tensor
    """int64: the numbers of the images in the order in which they come."""
    size: int
    draws: Draws
    augmentation: Augmentation = PLAIN
    drop_last: bool = False
    """Leave out the rest that fills no batch."""
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a batch of {self.size} images")

    def __len__(self) -> int:
        return len(self.rows) // self.size if self.drop_last else math.ceil(len(self.rows) / self.size)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (n, channels, height, width), channels last in memory, and labels int64 (n,)."""
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
    """Every image once, shuffled. ``generator`` must be on the data's device.

    The loaders of DARTS, PC-DARTS, GAEA, CoNAS and AutoDL keep the rest that fills no batch, which is the default.
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
    """AutoDL's pairing: the weight split shuffled, every image with one of the architecture split.

    The partner is drawn uniformly with replacement; both are augmented. The two have the same steps: ``zip`` them. AutoDL
    keeps the rest that fills no batch: 25 000 images in batches of 64 are 391 steps, the last of 40.
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
    """``steps`` batches, each the first of a fresh shuffle: no image twice in a batch, any image again in the next.

    The validation batches of DARTS, PC-DARTS and GAEA, whose loader is made anew for every step.
    """
    size = min(size, len(data))
    device = data.images.device
    rows = torch.cat([torch.randperm(len(data), generator=generator, device=device)[:size] for _ in range(steps)])
    return _augmented(data, rows, size, generator, augmentation, False, dtype)


def in_order(data: Resident, size: int, dtype: torch.dtype = torch.float32) -> Batches:
    """Every image once, in order, standardised only: for evaluation."""
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
