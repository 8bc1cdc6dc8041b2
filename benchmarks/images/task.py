"""The images of a weight-sharing search in one world, on a device: the loaders of :class:`harness.weight_sharing.Task`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
import torch

from benchmarks.images import digits
from benchmarks.images.augment import STANDARD, Augmentation, Resident
from benchmarks.images.batches import Batches, Shown, in_order, iterated, reshuffled, search_epoch
from benchmarks.images.batches import epoch as shuffled
from benchmarks.images.dataset import ImageSet
from benchmarks.images.parts import Split, parts
from harness.device import prepare
from harness.seeds import derive
from harness.weight_sharing import Pairing

Rule = Literal["partner", "redraw", "iterate"]
"""A :data:`Pairing` that a space can have."""


class SearchImages:
    """Training and validation images. The world and an epoch's number determine its order and augmentation.

    Args:
        dataset: a name of :mod:`benchmarks.images.dataset`.
        split: ``nb201``: NAS-Bench-201's fixed parts; ``halves``: the first and the last half of the training set (the
            digits have one fixed split).
        pairing: the space's rule of the bilevel loader; see :meth:`harness.weight_sharing.Task.pairs`.
        world: the world's seed.
    """

    def __init__(self, dataset: str, split: Split, pairing: Rule, world: int, device: str) -> None:
        prepare(device)
        self.device = torch.device(device)
        self.augmentation = STANDARD[dataset]
        self._parts = residents(dataset, split, device)
        self._pairing, self._world = pairing, world
        self._evaluated: dict[str, Batches] = {}
        noisy = digits.DRAWS if self.augmentation.noise else 1
        self.counts: Mapping[str, int] = {
            **{name: len(part) for name, part in self._parts.items()},
            "plain": len(self._parts["valid"]) * noisy,
        }

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Batches:
        """Return a shuffled epoch; see the contract."""
        augmentation = replace(self.augmentation, cutout=cutout)
        return shuffled(self._parts[part], batch, self._generator(part, stream, epoch), augmentation)

    def pairs(self, batch: int, epoch: int, pairing: Pairing = "space") -> Iterator[tuple[Shown, Shown]]:
        """Return the bilevel loader; see the contract."""
        train, valid, generator = self._parts["train"], self._parts["valid"], self._generator("pairs", epoch)
        rule = self._pairing if pairing == "space" else pairing
        if rule == "partner":
            return zip(*search_epoch(train, valid, batch, generator, self.augmentation), strict=True)
        first = shuffled(train, batch, generator, self.augmentation)
        second = iterated if rule == "iterate" else reshuffled
        return zip(first, second(valid, batch, len(first), generator, self.augmentation), strict=True)

    def plain(self, part: str, batch: int, number: int) -> Shown:
        """Return a batch for evaluation; see the contract."""
        if part not in self._evaluated:
            self._evaluated[part] = self._prepared(part)
        prepared = self._evaluated[part]
        size, noise = min(batch, len(prepared.rows)), prepared.draws.noise
        rows = torch.arange(number * size, (number + 1) * size, device=self.device) % len(prepared.rows)
        draws = prepared.draws._replace(noise=None if noise is None else noise[rows])
        return replace(prepared, rows=prepared.rows[rows], draws=draws, size=size)[0]

    def _prepared(self, part: str) -> Batches:
        """Return a part for evaluation, shuffled. Noisy images have the draws of the table ``digits.DRAWS_OF``."""
        data, noise, count = self._parts[part], None, len(self._parts[part])
        if self.augmentation.noise:
            count *= digits.DRAWS
            generator = torch.Generator().manual_seed(digits.draws_seed(part))
            noise = torch.randn(count, *data.images.shape[1:], generator=generator).to(self.device)
        order = torch.randperm(count, generator=self._generator("plain", part), device=self.device)
        ordered = in_order(data, len(data))
        draws = ordered.draws._replace(noise=None if noise is None else noise[order])
        return replace(ordered, rows=order % len(data), draws=draws, augmentation=Augmentation(noise=self.augmentation.noise))

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive("images", self._world, *names))


@lru_cache(maxsize=2)
def residents(dataset: str, split: Split, device: str) -> dict[str, Resident]:
    """Return the parts ``train``, ``valid`` and ``full`` on a device, copied once per process.

    ``full`` has every training image: both parts, or only ``train`` if ``valid`` is a part of the test set (CIFAR-100 and
    ImageNet16-120 in NAS-Bench-201).
    """
    train, valid = parts(dataset, split)
    full = train if split == "nb201" and dataset in ("cifar100", "imagenet16-120") else joined(train, valid)
    return {name: Resident.of(part, device) for name, part in (("train", train), ("valid", valid), ("full", full))}


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """Return all images of both sets."""
    images = np.concatenate([first.images, second.images])
    return replace(first, images=images, labels=np.concatenate([first.labels, second.labels]))
