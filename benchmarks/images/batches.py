"""Epochs over images on a device. All random numbers of an epoch are drawn at its start; then a batch depends on its step only.

An epoch therefore needs no synchronisation, and a search can resume at any step. It restores the state of its generator at the
start of the epoch, makes the epoch again, and continues at that step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from benchmarks.images.augment import PLAIN, Augmentation, Draws, Resident, augment, draw


class Shown(Sequence[Tensor]):
    """Images (n, channels, height, width), channels last in memory, and labels int64 (n,), made when they are first read.

    A step of a training that takes this as an input therefore makes the images itself, and a recording of it too; see
    :class:`harness.steps.Parts`.
    """

    def __init__(self, data: Resident, rows: Tensor, draws: Draws, augmentation: Augmentation, dtype: torch.dtype) -> None:
        self._data, self._rows, self._draws, self._augmentation, self._dtype = data, rows, draws, augmentation, dtype
        self._images: Tensor | None = None
        self._labels: Tensor | None = None

    def __len__(self) -> int:
        return 2

    @overload
    def __getitem__(self, part: int) -> Tensor: ...
    @overload
    def __getitem__(self, part: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, part: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(part, slice):
            return [self[k] for k in range(*part.indices(len(self)))]
        if part not in (0, 1):
            raise IndexError(part)
        if part == 1:
            if self._labels is None:
                self._labels = self._data.labels[self._rows]
            return self._labels
        if self._images is None:
            self._images = augment(self._data, self._rows, self._augmentation, self._draws, self._dtype)
        return self._images

    def tensors(self) -> list[Tensor]:
        """Return the numbers of the images, and what was drawn for them."""
        return [self._rows, *(drawn for drawn in self._draws if drawn is not None)]

    def of(self, tensors: Sequence[Tensor]) -> Shown:
        """Return the batch of other numbers and draws."""
        rows, *drawn = tensors
        rest = iter(drawn)
        draws = Draws(*(None if mine is None else next(rest) for mine in self._draws))
        return Shown(self._data, rows, draws, self._augmentation, self._dtype)


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

    def __getitem__(self, step: int) -> Shown:
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        part = slice(step * self.size, (step + 1) * self.size)
        return Shown(self.data, self.rows[part], self.draws.part(part), self.augmentation, self.dtype)

    def __iter__(self) -> Iterator[Shown]:
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
) -> Iterator[Shown]:
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
