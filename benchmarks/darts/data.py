"""The images for training a cell from scratch, and the images for its evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.darts.parts import Split, parts
from benchmarks.images.augment import STANDARD, Augmentation, Draws, Resident
from benchmarks.images.batches import Batches, epoch, in_order
from benchmarks.images.dataset import STATISTICS
from benchmarks.images.digits import DRAWS, draws_seed
from harness.device import precision
from harness.errors import UserError

Batch = Sequence[Tensor]


class Epoch(Sized, Iterable[Batch], Protocol):
    """The batches of one epoch: images (n, channels, height, width) and labels int64 (n,) on the device."""


class Data(Protocol):
    """The data of a training from scratch."""

    @property
    def name(self) -> str:
        """Name in captions, including the split."""
        ...

    @property
    def split(self) -> Split: ...

    @property
    def checksum(self) -> str: ...

    @property
    def classes(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def size(self) -> int:
        """Height and width, pixels."""
        ...

    @property
    def train_images(self) -> int: ...

    def epoch(self, seed: int, batch: int, cutout: int, share: tuple[int, int] = (0, 1)) -> Epoch:
        """Return an epoch with every training image once, shuffled and augmented with ``seed``.

        Args:
            cutout: side of the cutout in pixels; 0: no cutout.
            share: number of this process and number of processes; each process takes its part of every batch.
        """
        ...

    def evaluated(self, batch: int) -> Iterable[Batch]:
        """Return batches with every image of the held-out part."""
        ...


@dataclass(frozen=True, eq=False)
class ResidentData:
    """Images on the device as uint8, augmented there one batch at a time."""

    name: str
    split: Split
    checksum: str
    classes: int
    train: Resident
    held_out: Resident
    augmentation: Augmentation
    noise: Tensor | None
    """Noise of the evaluated images, ``DRAWS`` draws of each: (n, height, width, channels); None without noise."""
    dtype: torch.dtype = torch.float32

    @property
    def channels(self) -> int:
        return int(self.train.images.shape[3])

    @property
    def size(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def train_images(self) -> int:
        return len(self.train)

    def epoch(self, seed: int, batch: int, cutout: int, share: tuple[int, int] = (0, 1)) -> Epoch:
        generator = torch.Generator(self.train.images.device).manual_seed(seed)
        batches = epoch(self.train, batch, generator, replace(self.augmentation, cutout=cutout), dtype=self.dtype)
        return batches if share == (0, 1) else _Share(batches, *share)

    def evaluated(self, batch: int) -> Iterable[Batch]:
        batches = in_order(self.held_out, batch, self.dtype)
        if self.noise is None:
            return batches
        rows = torch.arange(len(self.noise), device=self.noise.device) % len(self.held_out)
        draws = Draws(None, None, None, self.noise)
        return replace(batches, rows=rows, draws=draws, augmentation=Augmentation(noise=self.augmentation.noise))


class _Share:
    """The batches of one of several processes: its part of every batch. The last batch loses rows that do not divide evenly."""

    def __init__(self, batches: Batches, rank: int, processes: int) -> None:
        self._batches, self._rank, self._processes = batches, rank, processes

    def __len__(self) -> int:
        return len(self._batches) - (len(self._batches.rows) % self._batches.size in range(1, self._processes))

    def __iter__(self) -> Iterator[Batch]:
        for step in range(len(self)):
            images, labels = self._batches[step]
            count = len(labels) // self._processes
            rows = slice(self._rank * count, (self._rank + 1) * count)
            yield images[rows], labels[rows]


@lru_cache(maxsize=2)
def open_data(dataset: str, split: Split, device: str, statistics: str = "own") -> ResidentData:
    """Open CIFAR-10, CIFAR-100 or the digits on a device.

    Args:
        statistics: ``own``, or the name of the data set whose mean and standard deviation standardise the images (D-61).

    Raises:
        UserError: an unknown name, or images that are missing or damaged.
    """
    if dataset not in ("cifar10", "cifar100", "digits"):
        raise UserError(f"no data {dataset!r} to train on; there are cifar10, cifar100, digits and imagenet")
    if split not in ("test", "valid"):
        raise UserError(f"split {split!r} is not test or valid")
    train, held_out = parts(dataset, split)
    if statistics != "own":
        mean, std = STATISTICS[statistics]
        train, held_out = replace(train, mean=mean, std=std), replace(held_out, mean=mean, std=std)
    noise = None
    if STANDARD[dataset].noise:
        generator = torch.Generator().manual_seed(draws_seed(split))
        shape = (len(held_out) * DRAWS, *held_out.images.shape[2:], held_out.images.shape[1])
        noise = torch.randn(shape, generator=generator).to(device)
    return ResidentData(
        f"{train.name}, trained on {len(train):,} images, {split} set of {len(held_out):,}",
        split,
        train.checksum,
        train.classes,
        Resident.of(train, device),
        Resident.of(held_out, device),
        STANDARD[dataset],
        noise,
        precision(device),
    )
