"""The images of a training from scratch. This module imports no torch, so that plans can use it."""

from __future__ import annotations

from typing import Literal

from benchmarks.images import splits
from benchmarks.images.dataset import ImageSet, load
from benchmarks.images.digits import SIZES

Split = Literal["test", "valid"]
"""``test``: train on all training images and evaluate on the test set. ``valid``: train on nine tenths of the training images
(45 000 of CIFAR's 50 000), evaluate on the rest, and never read the test set."""


def parts(dataset: str, split: Split) -> tuple[ImageSet, ImageSet]:
    """Return the images to train on, and the held-out images."""
    train, test = load(dataset)
    if split == "test":
        return train, test
    first, second = splits.cut(len(train), SIZES[0] if dataset == "digits" else len(train) * 9 // 10)
    return train.rows(first), train.rows(second)
