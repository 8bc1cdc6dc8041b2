"""The digits task: the 8x8 digits inside scikit-learn (1 797 real images, UCI optical digits), their split, and their noise.

Every benchmark on digits takes its sizes, noise and draws from here. No file and no network is needed. The split is fixed and
stratified: every class has its share in each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.seeds import derive

SIZES = (1024, 384, 389)
"""Images in the training, validation and test part; a training part of whole batches of 128."""
IMAGES = sum(SIZES)
NOISE = 0.7
"""Standard deviation of the Gaussian noise on every pixel, in standard deviations of the training pixels."""
DRAWS = 8
"""Noise draws of each evaluated image. Each draw counts and costs as one evaluated image."""
DRAWS_OF = "nb201/digits"
"""The table that gives its noise draws to the evaluated images of every search and training from scratch."""


@dataclass(frozen=True)
class Part:
    """Images float32 (N, 1, 8, 8), standardised by the pixels of the training part, and their labels int64 (N,)."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def draws_seed(part: str, table: str = DRAWS_OF) -> int:
    """Return the seed of the noise draws that a table's evaluated part (``valid`` or ``test``) has."""
    return derive(table, "draws", part)


def load() -> tuple[Part, Part, Part]:
    """Return the training, validation and test part. Raises :class:`UserError` as :func:`read`."""
    pixels, labels = read()
    parts = split(labels)
    seen = pixels[parts[0]]
    scaled = ((pixels - seen.mean()) / seen.std()).astype(np.float32)[:, None]
    train, valid, test = (Part(scaled[rows], labels[rows]) for rows in parts)
    return train, valid, test


@cache
def read() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return all images (N, 8, 8), with pixels from 0 to 16, and their labels (N,).

    The file is read without scikit-learn's own reader, because importing that takes every run two seconds.

    Raises:
        UserError: scikit-learn is missing, or its digits are other images.
    """
    package = find_spec("sklearn")
    file = Path(str(package and package.origin)).parent / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(file, delimiter=",") if file.exists() else np.empty((0, 0))
    if table.shape != (IMAGES, 65):
        raise UserError(f"{file} has shape {table.shape}, not ({IMAGES}, 65): install scikit-learn >= 1.5")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def split(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the row numbers of each part, ascending.

    Rows are ordered by class, and within a class by a hash of the row number. Each row then goes to the part that is furthest
    behind its share, so that each part has its exact size and each class its share within one image. A hash is used because
    the streams of random generators change between versions.
    """
    order = sorted(range(len(labels)), key=lambda row: (labels[row], derive("digits", "split", row)))
    taken = [0] * len(SIZES)
    parts: list[list[int]] = [[] for _ in SIZES]
    for position, row in enumerate(order, start=1):
        behind = [size * position / len(labels) - count for size, count in zip(SIZES, taken, strict=True)]
        part = max(range(len(SIZES)), key=behind.__getitem__)
        taken[part] += 1
        parts[part].append(row)
    return tuple(np.array(sorted(part)) for part in parts)
