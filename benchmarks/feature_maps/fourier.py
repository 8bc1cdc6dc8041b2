"""Random Fourier features of images: the configurations, and the features in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.seeds import derive

PREPROCESS: Final = ("none", "minmax", "unit norm", "standardise")
KERNELS: Final = ("gaussian", "laplacian")
GAMMA: Final = (1e-5, 10.0)
BLOCK: Final = 1024
"""Features of a block. Each block has its own seed, so the first features do not depend on the number of features."""

Draw = Callable[[str, int, int, int], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
"""A function such as :func:`draw`."""


@dataclass(frozen=True)
class Configuration:
    """A feature map: preprocessing of pixels, the approximated kernel, and its inverse width."""

    preprocess: str
    kernel: str
    gamma: float

    def __str__(self) -> str:
        return f"{self.kernel} kernel, gamma {self.gamma:.3g}, preprocessing {self.preprocess}"


def draw_pool(size: int, world: int) -> list[Configuration]:
    """Draw ``size`` configurations of the space: two uniform choices, and gamma log-uniform in :data:`GAMMA`."""
    rng = np.random.default_rng(derive("pool", world))
    low, high = np.log(GAMMA)
    return [
        Configuration(
            PREPROCESS[int(rng.integers(len(PREPROCESS)))],
            KERNELS[int(rng.integers(len(KERNELS)))],
            float(np.exp(rng.uniform(low, high))),
        )
        for _ in range(size)
    ]


class Images:
    """Images as rows of pixels in [0, 1], with the statistics of the training part for preprocessing.

    Args:
        images: uint8 (N, ...), ``white`` being 1.
        train: the training part that has the statistics; None if these images are the training part.
    """

    def __init__(self, images: npt.NDArray[np.uint8], white: int, train: Images | None = None) -> None:
        self._images, self._white = images.reshape(len(images), -1), white
        self.columns = self._images.shape[1]
        self._statistics: tuple[npt.NDArray[np.float32], ...] = train._statistics if train else self._measure()

    def __len__(self) -> int:
        return len(self._images)

    def alike(self, images: npt.NDArray[np.uint8]) -> Images:
        """Return ``images`` with the statistics of these images."""
        return Images(images, self._white, self)

    def joined(self, images: Images) -> Images:
        """Return these images and ``images``, with statistics of all of them."""
        return Images(np.concatenate([self._images, images._images]), self._white)

    def pixels(self, rows: npt.NDArray[np.int64], preprocess: str) -> npt.NDArray[np.float32]:
        """Return the preprocessed pixels of some images, float32 (len(rows), columns)."""
        points = self._images[rows].astype(np.float32) / np.float32(self._white)
        low, width, mean, std = self._statistics
        if preprocess == "minmax":
            return (points - low) / width
        if preprocess == "standardise":
            return (points - mean) / std
        if preprocess == "unit norm":
            norms: npt.NDArray[np.float32] = np.linalg.norm(points, axis=1, keepdims=True)
            norms[norms == 0] = 1
            points /= norms
        return points

    def _measure(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Return minimum, range, mean and standard deviation of each pixel; range and deviation of a constant pixel are 1."""
        raw, white = self._images, np.float32(self._white)
        low = raw.min(axis=0).astype(np.float32) / white
        width = raw.max(axis=0).astype(np.float32) / white - low
        mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32) / white
        std = raw.std(axis=0, dtype=np.float64).astype(np.float32) / white
        unit = np.float32(1)
        return low, np.where(width > 0, width, unit), mean, np.where(std > 0, std, unit)


class FourierMap:
    """Features of images if every image has a separate configuration: ``sqrt(2/D) cos(x W + u)`` (Rahimi & Recht).

    All configurations share the draw of ``W`` and ``u``: ``W`` is ``sqrt(2 gamma)`` times standard normal numbers for the
    Gaussian kernel, ``gamma`` times standard Cauchy numbers for the Laplacian one; ``u`` is uniform in [0, 2 pi).
    """

    def __init__(self, pool: Sequence[Configuration], features: int, seed: int, draw: Draw) -> None:
        self._pool, self.features, self._seed, self._draw = pool, features, seed, draw

    def blocks(self, images: Images, assigned: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield first column and features of each block, float32 (N, at most BLOCK), in order.

        Args:
            assigned: number of each image's configuration (N,).
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for index in np.unique(assigned).tolist():
            configuration = self._pool[index]
            groups.setdefault((configuration.preprocess, configuration.kernel), []).append(index)
        scale = np.array([_scale(configuration) for configuration in self._pool], np.float32)
        rows = {group: np.flatnonzero(np.isin(assigned, indices)) for group, indices in groups.items()}
        pixels = {group: images.pixels(members, group[0]) for group, members in rows.items()}
        for group, members in rows.items():
            pixels[group] *= scale[assigned[members]][:, None]
        height = np.float32(np.sqrt(2 / self.features))
        for first in range(0, self.features, BLOCK):
            width = min(BLOCK, self.features - first)
            block = np.empty((len(assigned), width), np.float32)
            for kernel in sorted({kernel for _, kernel in groups}):
                directions, shift = self._draw(kernel, images.columns, first, self._seed)
                for group, members in rows.items():
                    if group[1] == kernel:
                        phase = pixels[group] @ directions[:, :width]
                        phase += shift[:width]
                        np.cos(phase, out=phase)
                        block[members] = phase
            block *= height
            yield first, block


def draw(kernel: str, columns: int, first: int, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Draw W without its scale (columns, BLOCK), and u (BLOCK,), of the block that begins at feature ``first``."""
    rng = np.random.default_rng(derive("fourier", kernel, first, seed))
    directions = rng.standard_normal((columns, BLOCK), dtype=np.float32)
    if kernel == "laplacian":  # the ratio of two normal numbers is Cauchy
        below = rng.standard_normal((columns, BLOCK), dtype=np.float32)
        below[below == 0] = 1  # float32 numbers can be zero
        directions /= below
    shift = np.random.default_rng(derive("shift", first, seed)).uniform(0, 2 * np.pi, BLOCK)
    return directions, shift.astype(np.float32)


def _scale(configuration: Configuration) -> float:
    return float(np.sqrt(2 * configuration.gamma)) if configuration.kernel == "gaussian" else configuration.gamma
