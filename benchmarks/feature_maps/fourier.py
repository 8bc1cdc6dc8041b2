"""Random Fourier features of images: the configurations, and the features of images block by block."""

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
"""Features made at a time. The random numbers of a block come from its own seed, so fewer features are the first of more."""

Matrix = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Draw = Callable[[str, int, int, int], tuple[Matrix, Matrix]]
"""As :func:`draw`."""


@dataclass(frozen=True)
class Configuration:
    """One feature map: how pixels are preprocessed, the kernel that is approximated, its inverse width."""

    preprocess: str
    kernel: str
    gamma: float

    def __str__(self) -> str:
        return f"{self.kernel} kernel, gamma {self.gamma:.3g}, preprocessing {self.preprocess}"


def draw_pool(size: int, world: int) -> list[Configuration]:
    """``size`` configurations of the space: two uniform choices, and gamma log-uniform in :data:`GAMMA`."""
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
    """Images as rows of pixels in [0, 1], with the statistics of a training part that preprocessing needs.

    Args:
        images: uint8 (N, ...), ``white`` being 1.
        train: the training part whose statistics are used; None where this is it.
    """

    def __init__(self, images: npt.NDArray[np.uint8], white: int, train: Images | None = None) -> None:
        self._images, self._white = images.reshape(len(images), -1), white
        self.columns = self._images.shape[1]
        self._statistics: tuple[Matrix, ...] = train._statistics if train else self._measure()

    def __len__(self) -> int:
        return len(self._images)

    def alike(self, images: npt.NDArray[np.uint8]) -> Images:
        """Other images, to be preprocessed with the statistics of these."""
        return Images(images, self._white, self)

    def joined(self, other: Images) -> Images:
        """These images and others, with statistics of them all."""
        return Images(np.concatenate([self._images, other._images]), self._white)

    def pixels(self, rows: Indices, preprocess: str) -> Matrix:
        """The pixels of some images, preprocessed, float32 (len(rows), columns)."""
        found = self._images[rows].astype(np.float32) / np.float32(self._white)
        low, width, mean, std = self._statistics
        if preprocess == "minmax":
            return (found - low) / width
        if preprocess == "standardise":
            return (found - mean) / std
        if preprocess == "unit norm":
            norms: Matrix = np.linalg.norm(found, axis=1, keepdims=True)
            norms[norms == 0] = 1
            found /= norms
        return found

    def _measure(self) -> tuple[Matrix, ...]:
        """Per pixel: minimum, range, mean, standard deviation; a pixel that never changes has range and deviation 1."""
        raw, white = self._images, np.float32(self._white)
        low = raw.min(axis=0).astype(np.float32) / white
        width = raw.max(axis=0).astype(np.float32) / white - low
        mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32) / white
        std = raw.std(axis=0, dtype=np.float64).astype(np.float32) / white
        one = np.float32(1)
        return low, np.where(width > 0, width, one), mean, np.where(std > 0, std, one)


class FourierMap:
    """Features of images when every image has a configuration of its own: ``sqrt(2/D) cos(x W + u)`` (Rahimi & Recht).

    ``W`` and ``u`` are one draw for all configurations: ``W`` is ``sqrt(2 gamma)`` times standard normal numbers for the
    Gaussian kernel, ``gamma`` times standard Cauchy numbers for the Laplacian one; ``u`` is uniform in [0, 2 pi).
    """

    def __init__(self, pool: Sequence[Configuration], features: int, seed: int, draw: Draw) -> None:
        self._pool, self.features, self._seed, self._draw = pool, features, seed, draw

    def blocks(self, images: Images, assigned: Indices) -> Iterator[tuple[int, Matrix]]:
        """(first column, features float32 (N, at most BLOCK)), in order; ``assigned`` is the configuration of each image."""
        groups: dict[tuple[str, str], list[int]] = {}
        for index in np.unique(assigned).tolist():
            one = self._pool[index]
            groups.setdefault((one.preprocess, one.kernel), []).append(index)
        scale = np.array([_scale(one) for one in self._pool], np.float32)
        rows = {group: np.flatnonzero(np.isin(assigned, members)) for group, members in groups.items()}
        pixels = {group: images.pixels(found, group[0]) for group, found in rows.items()}
        for group, found in rows.items():
            pixels[group] *= scale[assigned[found]][:, None]
        height = np.float32(np.sqrt(2 / self.features))
        for first in range(0, self.features, BLOCK):
            width = min(BLOCK, self.features - first)
            made = np.empty((len(assigned), width), np.float32)
            for kernel in sorted({kernel for _, kernel in groups}):
                directions, shift = self._draw(kernel, images.columns, first, self._seed)
                for group, found in rows.items():
                    if group[1] == kernel:
                        phase = pixels[group] @ directions[:, :width]
                        phase += shift[:width]
                        np.cos(phase, out=phase)
                        made[found] = phase
            made *= height
            yield first, made


def draw(kernel: str, columns: int, first: int, seed: int) -> tuple[Matrix, Matrix]:
    """W without its scale, (columns, BLOCK), and u, (BLOCK,), of the block that begins at feature ``first``."""
    rng = np.random.default_rng(derive("fourier", kernel, first, seed))
    directions = rng.standard_normal((columns, BLOCK), dtype=np.float32)
    if kernel == "laplacian":  # the ratio of two normal numbers is Cauchy
        below = rng.standard_normal((columns, BLOCK), dtype=np.float32)
        below[below == 0] = 1  # float32 does draw zeros
        directions /= below
    shift = np.random.default_rng(derive("shift", first, seed)).uniform(0, 2 * np.pi, BLOCK)
    return directions, shift.astype(np.float32)


def _scale(one: Configuration) -> float:
    return float(np.sqrt(2 * one.gamma)) if one.kernel == "gaussian" else one.gamma
