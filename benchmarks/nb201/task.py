"""What a weight-sharing search on NAS-Bench-201 trains on: images of two parts, the supernet, and its price."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.images import splits
from benchmarks.images.augment import STANDARD, Augmentation, Resident
from benchmarks.images.batches import Batches, in_order, search_epoch
from benchmarks.images.batches import epoch as shuffled
from benchmarks.images.dataset import ImageSet
from benchmarks.nb201.clock import Clock
from benchmarks.nb201.network import Macro, macs
from benchmarks.nb201.space import EDGES, OPS
from benchmarks.nb201.supernet import Supernet
from harness.problem import Meter
from harness.seeds import derive

MACROS = {
    "cifar10": Macro(),
    "cifar100": Macro(classes=100),
    "imagenet16-120": Macro(size=16, classes=120),
    "digits": Macro(width=8, depth=1, channels=1, size=8, stem=1, reduction="pool"),
}
"""The networks that the tables' records were made with."""


NOISE_DRAWS = 8
"""Draws of each evaluated image, where images are evaluated under noise."""


class NB201Task:
    """See :class:`harness.weight_sharing.Task`.

    Args:
        dataset: ``cifar10``, ``cifar100``, ``imagenet16-120`` or ``digits``.
        clock: the benchmark's seconds for a pass.
        world: the world's seed: order of the images, their augmentation, initial weights.
        charge: the search's meter.
    """

    def __init__(self, dataset: str, clock: Clock, world: int, device: str, charge: Meter) -> None:
        if device == "cpu":
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # workers share the cores
        self.name, self.device = dataset, torch.device(device)
        self._parts = residents(dataset, device)
        self.images = {name: len(part) for name, part in self._parts.items()}
        self.classes = MACROS[dataset].classes
        self._world, self._macro, self._augmentation = world, MACROS[dataset], STANDARD[dataset]
        bare = macs((0,) * len(EDGES), self._macro)
        self._macs = (bare, [macs((op, *(0,) * (len(EDGES) - 1)), self._macro) - bare for op in range(len(OPS))])
        self._clock, self._meter = clock, charge
        self._plain: dict[str, Batches] = {}
        self.images["plain"] = self.images["valid"] * (NOISE_DRAWS if self._augmentation.noise else 1)

    def supernet(
        self, *, none: bool = True, track: bool = False, bias: bool = False, affine: bool = False, channels: int = 0
    ) -> Supernet:
        """The supernet around this data set's network.

        Args:
            none: whether ``none`` is one of the options.
            track: whether norms keep running statistics for evaluation.
            bias: whether the cells' convolutions have one (D-01).
            affine: whether the norms inside the cells have scale and shift.
            channels: of the first stage; 0: as many as the table's networks have (D-23).
        """
        macro = replace(self._macro, affine=affine, width=channels or self._macro.width)
        net = Supernet(macro, none=none, track=track, bias=bias, seed=derive("supernet", self._world), charge=self._charge)
        net.module.to(self.device)
        return net

    def _charge(self, counts: Sequence[int], images: float, training: bool) -> None:
        bare, of_op = self._macs
        self._meter(
            seconds=self._clock.seconds(counts, images, training),
            epochs=images / self.images["train"] if training else 0.0,
            macs=images * (bare + sum(n * cost for n, cost in zip(counts, of_op, strict=True))),
        )

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive("images", self._world, *names))

    def batches(self, part: str, batch: int, epoch: int, stream: str = "") -> Batches:
        return shuffled(self._parts[part], batch, self._generator(part, stream, epoch), self._augmentation)

    def pairs(self, batch: int, epoch: int) -> Iterator[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]:
        """AutoDL's search loader (METHODS 0.4)."""
        generator = self._generator("pairs", epoch)
        pair = search_epoch(self._parts["train"], self._parts["valid"], batch, generator, self._augmentation)
        return zip(*pair, strict=True)

    def plain(self, part: str, batch: int, number: int) -> tuple[Tensor, Tensor]:
        if part not in self._plain:
            self._plain[part] = self._evaluated(part)
        all_of_it = self._plain[part]
        size = min(batch, len(all_of_it.rows))
        rows = torch.arange(number * size, (number + 1) * size, device=self.device) % len(all_of_it.rows)
        noise = all_of_it.draws.noise
        draws = replace(all_of_it.draws, noise=None if noise is None else noise[rows])
        return replace(all_of_it, rows=all_of_it.rows[rows], draws=draws, size=size)[0]

    def _evaluated(self, part: str) -> Batches:
        """A part as it is evaluated, shuffled; of images that are recorded under noise, the same draws as the table's."""
        data, noise = self._parts[part], None
        if self._augmentation.noise:
            generator = torch.Generator().manual_seed(derive("nb201/digits", "draws", part))
            drawn = torch.randn(NOISE_DRAWS * len(data), *data.images.shape[1:], generator=generator)
            noise = drawn.to(self.device)
        order = torch.randperm(
            len(data) if noise is None else len(noise), generator=self._generator("plain", part), device=self.device
        )
        rest = in_order(data, len(data))
        draws = replace(rest.draws, noise=None if noise is None else noise[order])
        return replace(rest, rows=order % len(data), draws=draws, augmentation=Augmentation(noise=self._augmentation.noise))


@lru_cache(maxsize=2)
def residents(dataset: str, device: str) -> dict[str, Resident]:
    """The parts on a device, once per process. Raises :class:`UserError` where the images are missing."""
    train, valid = splits.nb201_search_sets(dataset)
    full = train if dataset in ("cifar100", "imagenet16-120") else joined(train, valid)
    return {name: Resident.of(part, device) for name, part in (("train", train), ("valid", valid), ("full", full))}


def joined(first: ImageSet, second: ImageSet) -> ImageSet:
    """All images of both, for methods that train on both (ERM)."""
    images = np.concatenate([first.images, second.images])
    return replace(first, images=images, labels=np.concatenate([first.labels, second.labels]))
