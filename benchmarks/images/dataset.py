"""Image data sets in memory: uint8 images, their labels, and the statistics that standardise them."""

from __future__ import annotations

import difflib
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from benchmarks.images import digits
from benchmarks.images.library import LIBRARY
from harness.errors import UserError

Channels = tuple[float, ...]

STATISTICS: dict[str, tuple[Channels, Channels]] = {
    # from DARTS' code; NAS-Bench-201 has 125.3 123.0 113.9 and 63.0 62.1 66.7 of 255, which differ by less than 0.0003
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((129.3 / 255, 124.1 / 255, 112.4 / 255), (68.2 / 255, 65.4 / 255, 70.4 / 255)),
    "imagenet16-120": ((122.68 / 255, 116.66 / 255, 104.01 / 255), (63.22 / 255, 61.26 / 255, 65.09 / 255)),
}
"""Mean and standard deviation of each channel, as in the papers' code; black is 0 and white is 1."""

NAMES = (*STATISTICS, "digits")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One part of a data set. It has no reference to images of another part."""

    name: str
    """Name in captions, such as ``CIFAR-10 (JPEG-75)``."""
    images: npt.NDArray[np.uint8]
    """(N, channels, height, width); read-only if mapped from a file."""
    labels: npt.NDArray[np.int64]
    """(N,), counted from 0."""
    classes: int
    mean: Channels
    std: Channels
    source: str
    """Name of the file that the images were decoded from."""
    checksum: str
    """Identifies the decoded data set; part of a run's identity."""
    white: int = 255
    """The largest pixel value."""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"images {self.images.dtype} {self.images.shape} with labels {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: npt.NDArray[np.int64]) -> ImageSet:
        """Return a copy of the images with these numbers."""
        return replace(self, images=self.images[index].copy(), labels=self.labels[index].copy())


def load(dataset: str, announce: Callable[[str], None] | None = None) -> tuple[ImageSet, ImageSet]:
    """Return the training and the test part of ``cifar10``, ``cifar100``, ``imagenet16-120`` or ``digits``.

    A source that is present and not imported yet is imported. CIFAR-10 itself is preferred to CIFAR-10 (JPEG-75). The
    training part of the digits has its 1 024 training images and then its 384 validation images.

    Args:
        announce: called with one line after an import; None prints the line on standard error.

    Raises:
        UserError: the name is unknown, or the data are missing or damaged.
    """
    if dataset == "digits":
        return _digits()
    if dataset not in STATISTICS:
        close = difflib.get_close_matches(dataset, NAMES, 1)
        raise UserError(f"no image data set {dataset!r}; " + (f"did you mean {close[0]!r}?" if close else f"there are {NAMES}"))
    present = LIBRARY.find(dataset)
    if present is None:
        form = LIBRARY.preferred(dataset)
        raise UserError(
            f"{form.name} is missing: put {form.archive or form.folder} into a folder of NAS_DATA "
            "('python -m harness.data status' says where it is published)"
        )
    form, source, table = present
    if table is None:
        assert source is not None
        started = time.perf_counter()
        table = LIBRARY.import_path(source)
        line = f"importing {source.name} ({form.name}) … {time.perf_counter() - started:.1f} s"
        print(line, file=sys.stderr) if announce is None else announce(line)
    mean, std = STATISTICS[dataset]
    train, test = (
        ImageSet(
            name=form.name,
            images=table.column(f"{part}/images"),
            labels=table.column(f"{part}/labels"),
            classes=form.classes,
            mean=mean,
            std=std,
            source=table.meta["source"]["file"],
            checksum=table.checksum,
        )
        for part in ("train", "test")
    )
    return train, test


@cache
def _digits() -> tuple[ImageSet, ImageSet]:
    """Return the digits with the split and standardisation of :mod:`benchmarks.images.digits`, as integers 0 to 16."""
    images, labels = digits.read()
    pixels = images.astype(np.uint8)[:, None]
    train, valid, test = digits.split(labels)
    training = pixels[train] / 16
    all_parts = ImageSet(
        name="digits",
        images=pixels,
        labels=labels,
        classes=10,
        mean=(float(training.mean()),),
        std=(float(training.std()),),
        source="scikit-learn",
        checksum=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
        white=16,
    )
    return all_parts.rows(np.concatenate([train, valid])), all_parts.rows(test)
