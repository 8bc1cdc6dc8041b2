"""Random crop, flip, standardisation, cutout and noise for one batch at a time, on the device, without synchronisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.images import digits
from benchmarks.images.dataset import ImageSet


@dataclass(frozen=True)
class Augmentation:
    """Operations on a training image, in this order. Without operations, images are only standardised, as in evaluation."""

    padding: int = 0
    """Black pixels added on each side before a random crop of the original size."""
    flip: bool = False
    """Mirror left and right with probability 1/2."""
    cutout: int = 0
    """Side of a square of zeros after standardisation. Its centre may be any pixel, so the border may cut the square."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on every pixel after standardisation."""

    def __post_init__(self) -> None:
        if self.padding < 0 or self.cutout < 0 or self.noise < 0:
            raise ValueError(f"{self}: nothing may be negative")


PLAIN = Augmentation()

STANDARD = {
    "cifar10": Augmentation(padding=4, flip=True),
    "cifar100": Augmentation(padding=4, flip=True),
    "imagenet16-120": Augmentation(padding=2, flip=True),
    "digits": Augmentation(noise=digits.NOISE),
}
"""Training augmentation of the papers by data set; retraining in the DARTS space adds ``cutout=16``."""


@dataclass(frozen=True, eq=False)
class Resident:
    """A part of a data set on a device."""

    images: Tensor
    """uint8 (N, height, width, channels)."""
    labels: Tensor
    """int64 (N,)."""
    scale: Tensor
    """float32 (channels,): a standardised pixel is ``pixel * scale + shift``."""
    shift: Tensor

    @classmethod
    def of(cls, part: ImageSet, device: torch.device | str = "cpu") -> Resident:
        """Copy ``part`` to ``device``."""
        mean, std = torch.tensor(part.mean, dtype=torch.float64), torch.tensor(part.std, dtype=torch.float64)
        return cls(
            torch.tensor(part.images.transpose(0, 2, 3, 1).copy(), device=device),
            torch.tensor(part.labels.copy(), device=device),
            (1 / (part.white * std)).float().to(device),
            (-mean / std).float().to(device),
        )

    def __len__(self) -> int:
        return len(self.labels)


class Draws(NamedTuple):
    """Random draws for n images; None if the augmentation has no such draw."""

    crop: Tensor | None
    """int64 (2, n): top and left of the crop in the padded image, 0 to ``2 * padding``."""
    flip: Tensor | None
    """bool (n,)."""
    centre: Tensor | None
    """int64 (2, n): row and column of the cutout's centre."""
    noise: Tensor | None
    """float32 (n, height, width, channels)."""

    def part(self, rows: slice) -> Draws:
        """Return the draws of some of the images."""
        crop, flip, centre, noise = self.crop, self.flip, self.centre, self.noise
        return Draws(
            None if crop is None else crop[:, rows],
            None if flip is None else flip[rows],
            None if centre is None else centre[:, rows],
            None if noise is None else noise[rows],
        )


def draw(augmentation: Augmentation, count: int, data: Resident, generator: torch.Generator) -> Draws:
    """Draw for ``count`` images of ``data``. ``generator`` must be on their device. The noise of all images is in memory."""
    device = data.images.device
    height, width, channels = data.images.shape[1:]

    def below(limit: int, *shape: int) -> Tensor:
        return torch.randint(limit, shape, generator=generator, device=device)

    return Draws(
        below(2 * augmentation.padding + 1, 2, count) if augmentation.padding else None,
        below(2, count) == 1 if augmentation.flip else None,
        torch.stack([below(height, count), below(width, count)]) if augmentation.cutout else None,
        torch.randn(count, height, width, channels, generator=generator, device=device) if augmentation.noise else None,
    )


def augment(
    data: Resident, rows: Tensor, augmentation: Augmentation, draws: Draws, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Augment and standardise the images with the given numbers.

    Args:
        rows: int64 (n,), numbers of the images, on the device of ``data``.
        draws: random draws for the n images.
        dtype: type of the result; the arithmetic is float32.

    Returns:
        (n, channels, height, width), channels last in memory.
    """
    height, width, channels = data.images.shape[1:]
    device = data.images.device
    ys, xs = torch.arange(height, device=device), torch.arange(width, device=device)
    lines, columns = ys.expand(len(rows), height), xs.expand(len(rows), width)
    if draws.flip is not None:
        columns = torch.where(draws.flip[:, None], width - 1 - columns, columns)
    if draws.crop is not None:
        lines = lines + (draws.crop[0, :, None] - augmentation.padding)
        columns = columns + (draws.crop[1, :, None] - augmentation.padding)
    lines_of_all = rows[:, None] * height + lines.clamp(0, height - 1)
    pixels = lines_of_all[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    # one contiguous row per line of an image, (n, height, width * channels): several times faster than (..., width, channels)
    values = data.images.view(-1, channels).index_select(0, pixels.view(-1)).view(len(rows), height, -1)
    if draws.crop is not None:
        values = values * _rectangle((lines >= 0) & (lines < height), (columns >= 0) & (columns < width), channels)
    images = torch.addcmul(data.shift.repeat(width), values.float(), data.scale.repeat(width))
    if draws.centre is not None:
        reach = augmentation.cutout // 2
        y, x = draws.centre[0, :, None], draws.centre[1, :, None]
        square = _rectangle((ys >= y - reach) & (ys < y + reach), (xs >= x - reach) & (xs < x + reach), channels)
        images = images.masked_fill_(square, 0)
    images = images.view(len(rows), height, width, channels)
    if draws.noise is not None:
        images = images.add_(draws.noise, alpha=augmentation.noise)
    return images.to(dtype).permute(0, 3, 1, 2)


def _rectangle(lines: Tensor, columns: Tensor, channels: int) -> Tensor:
    """Return a mask that is true where line (n, height) and column (n, width) are: bool (n, height, width * channels)."""
    return lines[:, :, None] & columns.repeat_interleave(channels, 1)[:, None, :]
