"""Which images a weight-sharing search trains on: known without PyTorch, for plans and pages."""

from __future__ import annotations

from typing import Literal

from benchmarks.images import splits
from benchmarks.images.dataset import ImageSet, load

Split = Literal["nb201", "halves"]


def parts(dataset: str, split: Split) -> tuple[ImageSet, ImageSet]:
    """The images that train weights and those that choose. Raises :class:`UserError` where they are missing."""
    if split == "nb201" or dataset == "digits":
        return splits.nb201_search_sets(dataset)
    train, _ = load(dataset)
    first, second = splits.halves(len(train))
    return train.rows(first), train.rows(second)


def describe(dataset: str, split: Split) -> str:
    """Which images those are, for captions and identities. Raises :class:`UserError` where they are missing."""
    train, valid = parts(dataset, split)
    return f"{train.name}, {len(train):,} + {len(valid):,} images, {train.checksum[:12]}"
