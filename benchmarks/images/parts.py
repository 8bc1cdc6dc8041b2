"""The images of a weight-sharing search. Plans and pages use this module, so it does not import PyTorch."""

from __future__ import annotations

from typing import Literal

from benchmarks.images import splits
from benchmarks.images.dataset import ImageSet, load

Split = Literal["nb201", "halves"]


def parts(dataset: str, split: Split) -> tuple[ImageSet, ImageSet]:
    """Return the images for weights and the images for the architecture. Raises :class:`UserError` without data."""
    if split == "nb201" or dataset == "digits":
        return splits.nb201_search_sets(dataset)
    train, _ = load(dataset)
    first, second = splits.halves(len(train))
    return train.rows(first), train.rows(second)


def describe(dataset: str, split: Split) -> str:
    """Return name, sizes and checksum of the parts, for captions and identities. Raises :class:`UserError` without data."""
    train, valid = parts(dataset, split)
    return f"{train.name}, {len(train):,} + {len(valid):,} images, {train.checksum[:12]}"
