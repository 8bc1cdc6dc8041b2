"""Blank images in the place of data sets that do not ship with the project: what a pass costs depends on their number alone."""

from __future__ import annotations

import pytest
import torch

from benchmarks.images import task as images
from benchmarks.images.augment import Resident

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}
SIDE = {"cifar10": 32, "cifar100": 32, "imagenet16-120": 16}
COUNTS = {
    ("cifar10", "nb201"): (25_000, 25_000),
    ("cifar100", "nb201"): (50_000, 5_000),
    ("imagenet16-120", "nb201"): (151_700, 3_000),
    ("cifar10", "halves"): (25_000, 25_000),
}
"""Images for the weights and images for the architecture, as the papers state them, by data set and split."""


@pytest.fixture
def blank_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace all images but the digits."""
    real = images.residents
    monkeypatch.setattr(images, "residents", lambda *args: real(*args) if args[0] == "digits" else _blank(*args))


def _blank(dataset: str, split: str, device: str) -> dict[str, Resident]:
    """Return as many images as the data set has in this split, all in the memory of a single pixel."""
    train, valid = COUNTS[dataset, split]
    pixel, side = torch.zeros(1, dtype=torch.uint8), SIDE[dataset]

    def part(count: int) -> Resident:
        labels = torch.arange(count) % CLASSES[dataset]
        return Resident(pixel.expand(count, side, side, 3), labels, torch.ones(3), torch.zeros(3))

    return {"train": part(train), "valid": part(valid), "full": part(train + valid)}
