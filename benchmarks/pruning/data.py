"""The digits as points with 64 inputs between 0 and 1 (D-20, D-120). Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.images import dataset, digits

SIZES = (64, 40, 20, 10)
"""Inputs, neurons of both hidden layers, and classes."""


@dataclass(frozen=True)
class Points:
    """Pixels float32 (N, 64) and labels int64 (N,). A part has no reference to the points of another part."""

    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def search_parts() -> tuple[Points, Points]:
    """Return the 1 024 training points and the 384 validation points."""
    images, _ = dataset.load("digits")
    first = np.arange(len(images)) < digits.SIZES[0]
    train, valid = (_points(images.rows(np.flatnonzero(part))) for part in (first, ~first))
    return train, valid


def test_part() -> Points:
    """Return the 389 test points, for the judge."""
    return _points(dataset.load("digits")[1])


def checksum() -> str:
    """Return what identifies the points."""
    return dataset.load("digits")[0].checksum


def _points(images: dataset.ImageSet) -> Points:
    return Points((images.images.reshape(len(images), -1) / images.white).astype(np.float32), images.labels.copy())
