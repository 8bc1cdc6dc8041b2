"""Which images a training from scratch sees: known without PyTorch, for plans."""

from __future__ import annotations

from typing import Literal

from benchmarks.images import splits
from benchmarks.images.dataset import ImageSet, load
from benchmarks.images.digits import SIZES

Split = Literal["test", "valid"]
"""``test``: trained on all training images, evaluated on the test set; ``valid``: trained on nine tenths of the training
images (45 000 of CIFAR's 50 000), evaluated on the rest, the test set out of reach."""


def parts(dataset: str, split: Split) -> tuple[ImageSet, ImageSet]:
    """Return the images trained on, and those held out."""
    train, test = load(dataset)
    if split == "test":
        return train, test
    first, second = splits.cut(len(train), SIZES[0] if dataset == "digits" else len(train) * 9 // 10)
    return train.rows(first), train.rows(second)
