"""The loaders of a search on ImageNet, in one world on a device; see :class:`harness.weight_sharing.Task`.

A batch is read from the decoded images, and cropped and mirrored on the device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts.data import Batch
from benchmarks.darts.image_folder import decoders, shuffled, standardised
from benchmarks.darts.subsample import subsample
from harness.device import prepare, upload
from harness.seeds import derive
from harness.weight_sharing import Pairing

AREA, RATIO, ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10
"""A crop for training: its share of the image, its width divided by its height, and the draws until one fits."""
CENTRAL = 7 / 8
"""A crop for evaluation: its side divided by the image's shorter side."""


class SubsampledImages:
    """Images for weights (``train``) and architecture (``valid``), and all training images (``full``).

    The images of ``full`` are decoded again in each epoch and have changed colours too, as in trainings from scratch.

    Args:
        world: seed of the order and the crops.
        size: height and width of the images of a batch, pixels.

    Raises:
        UserError: see :func:`benchmarks.darts.subsample.subsample`.
    """

    def __init__(self, world: int, device: str, size: int) -> None:
        prepare(device)
        self.device, self._world, self._size = torch.device(device), world, size
        self._data = subsample()
        self.classes = self._data.classes
        self._labels, self._shapes = torch.from_numpy(self._data.labels), torch.from_numpy(self._data.shapes.copy())
        first, count = self._data.weights, len(self._labels)
        self._rows = {"train": torch.arange(first), "valid": torch.arange(first, count)}
        self.counts: Mapping[str, int] = {
            **{name: len(rows) for name, rows in self._rows.items()},
            "full": len(self._data.everything.paths),
            "plain": count - first,
        }

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Iterable[Batch]:
        """Return a shuffled epoch; see the contract.

        Raises:
            ValueError: a cutout is requested; no recipe for ImageNet has one.
        """
        if cutout:
            raise ValueError("a search on ImageNet has no cutout; use cutout=0")
        if part == "full":
            seed = derive("images", self._world, part, stream, epoch)
            return shuffled(self._data.everything, seed, batch, self._size, self.device, decoders())
        generator = self._generator(part, stream, epoch)
        return self._cropped(self._shuffles(part, batch, generator, 1), generator)

    def pairs(self, batch: int, epoch: int, pairing: Pairing = "space") -> Iterator[tuple[Batch, Batch]]:
        """Return the bilevel loader; see the contract. The rule of the space is ``iterate``, as in PC-DARTS' script."""
        first, second = self._generator("pairs", "train", epoch), self._generator("pairs", "valid", epoch)
        valid = self._rows["valid"]
        if pairing == "partner":
            drawn = torch.randint(len(valid), (self.counts["train"],), generator=second)
            rows: Iterable[Tensor] = valid[drawn].split(batch)
        else:
            rows = self._shuffles("valid", batch, second)
            if pairing == "redraw":
                rows = itertools.islice(rows, 0, None, math.ceil(len(valid) / batch))
        train = self._cropped(self._shuffles("train", batch, first, 1), first)
        return zip(train, self._cropped(rows, second), strict=False)

    def plain(self, part: str, batch: int, number: int) -> Batch:
        """Return a batch for evaluation; see the contract."""
        rows = self._rows[part]
        order = rows[torch.randperm(len(rows), generator=self._generator("plain", part))]
        size = min(batch, len(rows))
        rows = order[torch.arange(number * size, (number + 1) * size) % len(rows)]
        shape = self._shapes[rows]
        wide, high = CENTRAL / shape.clamp(min=1), CENTRAL * shape.clamp(max=1)
        boxes = torch.stack([(1 - wide) / 2, (1 - high) / 2, wide, high], 1)
        return self._read(rows, boxes, torch.zeros(len(rows), dtype=torch.bool))

    def _shuffles(self, part: str, batch: int, generator: torch.Generator, count: int | None = None) -> Iterator[Tensor]:
        """Yield the numbers of the images of a batch, one shuffle after the other: ``count`` shuffles, or without end."""
        rows = self._rows[part]
        for _ in itertools.repeat(None) if count is None else range(count):
            yield from rows[torch.randperm(len(rows), generator=generator)].split(batch)

    def _cropped(self, batches: Iterable[Tensor], generator: torch.Generator) -> Iterator[Batch]:
        for rows in batches:
            boxes = crops(self._shapes[rows], generator)
            yield self._read(rows, boxes, torch.randint(2, (len(rows),), generator=generator) == 1)

    def _read(self, rows: Tensor, boxes: Tensor, mirrored: Tensor) -> Batch:
        values = (torch.from_numpy(self._data.images[rows.numpy()]), boxes, mirrored, self._labels[rows])
        images, placed, flips, labels = (upload(value, self.device) for value in values)
        return cut(images, placed, flips, self._size), labels

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive("images", self._world, *names))


def crops(shapes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a crop for each image: 8 to 100 % of its area, a ratio of 3/4 to 4/3. After ten misfits it is the central square.

    Args:
        shapes: (n,), width divided by height.

    Returns:
        (n, 4): left, top, width and height, as shares of the image's width and height.
    """
    count = (len(shapes), ATTEMPTS)
    area = torch.empty(count).uniform_(*AREA, generator=generator)
    ratio = torch.empty(count).uniform_(math.log(RATIO[0]), math.log(RATIO[1]), generator=generator).exp()
    place = torch.rand(len(shapes), 2, generator=generator)
    sides = torch.stack([(area * ratio / shapes[:, None]).sqrt(), (area / ratio * shapes[:, None]).sqrt()], -1)
    fits = (sides <= 1).all(-1)
    chosen = sides[torch.arange(len(shapes)), fits.int().argmax(1)]
    square = torch.stack([1 / shapes.clamp(min=1), shapes.clamp(max=1)], 1)
    missed = ~fits.any(1, keepdim=True)
    chosen, place = torch.where(missed, square, chosen), torch.where(missed, 0.5, place)
    return torch.cat([place * (1 - chosen), chosen], 1)


def cut(images: Tensor, boxes: Tensor, mirrored: Tensor, size: int) -> Tensor:
    """Return the boxes of images, scaled to a size, mirrored and standardised, on their device.

    Args:
        images: uint8 (n, height, width, 3).
        boxes: (n, 4); see :func:`crops`.
        mirrored: bool (n,).

    Returns:
        float32 (n, 3, size, size), channels last in memory.
    """
    left, top, wide, high = boxes.unbind(1)
    zero = torch.zeros_like(left)
    across = torch.stack([torch.where(mirrored, -wide, wide), zero, 2 * left + wide - 1], 1)
    down = torch.stack([zero, high, 2 * top + high - 1], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), [len(images), 3, size, size], align_corners=False)
    scaled = F.grid_sample(standardised(images), grid, padding_mode="border", align_corners=False)
    return scaled.contiguous(memory_format=torch.channels_last)
