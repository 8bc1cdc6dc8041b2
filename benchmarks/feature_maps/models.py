"""Linear models on feature maps that differ from point to point, with one interface for both data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.feature_maps import fourier, ngrams, ridge, svm

KEPT: Final = 24
"""Cached blocks of random numbers of the same features: 300 MB for 3 072 columns."""


@dataclass(frozen=True, eq=False)
class Part:
    """Points of one part of a data set, without a reference to points of another part."""

    points: Any
    """:class:`~benchmarks.feature_maps.fourier.Images` or :class:`~benchmarks.feature_maps.ngrams.Reviews`."""
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class Predictions(NamedTuple):
    """Correctness and loss of a model on some points, in their order."""

    correct: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.float64]


class Model(Protocol):
    """A fitted linear model."""

    objective: float
    """The regularised training loss, at its minimum."""

    def predict(self, part: Part, assigned: npt.NDArray[np.int64]) -> Predictions:
        """Return the predictions for the points of ``part``, each under its configuration ``assigned`` (N,)."""
        ...


class Maps(Protocol):
    """A pool of feature maps and its solver."""

    pool: Sequence[Any]

    def fit(self, part: Part, assigned: npt.NDArray[np.int64], features: int, seed: int, loss: str) -> Model:
        """Fit the points of ``part``, each under its configuration ``assigned`` (N,), with one call of the solver."""
        ...


class FourierRidge:
    """Random Fourier features with one-vs-all ridge regression on targets 1 and -1; the loss is the squared error."""

    def __init__(self, pool: Sequence[fourier.Configuration], classes: int, solver: str = "lsqr") -> None:
        self.pool, self.classes, self.solver = pool, classes, solver
        # one cache per pool: the cost of a solver call must not depend on earlier searches of this process
        self._draw = lru_cache(maxsize=KEPT)(fourier.draw)

    def fit(self, part: Part, assigned: npt.NDArray[np.int64], features: int, seed: int, loss: str) -> FourierModel:
        feature_map = fourier.FourierMap(self.pool, features, seed, self._draw)
        targets = _one_hot(part.labels, self.classes)
        line = ridge.fit(lambda: feature_map.blocks(part.points, assigned), features, targets, self.solver)
        return FourierModel(feature_map, line)


class FourierModel:
    def __init__(self, feature_map: fourier.FourierMap, line: ridge.Line) -> None:
        self._feature_map, self._line, self.objective = feature_map, line, line.objective

    def predict(self, part: Part, assigned: npt.NDArray[np.int64]) -> Predictions:
        weights, intercept, _ = self._line
        scores = np.zeros((len(part), len(intercept)), np.float32)
        for first, block in self._feature_map.blocks(part.points, assigned):
            scores += block @ weights[first : first + block.shape[1]]
        scores += intercept
        squared = (scores - _one_hot(part.labels, len(intercept))) ** 2
        return Predictions(scores.argmax(axis=1) == part.labels, squared.sum(axis=1, dtype=np.float64))


class NgramSvm:
    """Hashed bags of n-grams with a linear support vector machine."""

    def __init__(self, pool: Sequence[ngrams.Configuration]) -> None:
        self.pool = pool

    def fit(self, part: Part, assigned: npt.NDArray[np.int64], features: int, seed: int, loss: str) -> NgramModel:
        counts = ngrams.count(self.pool, part.points, assigned, features)
        feature_map = ngrams.NgramMap(self.pool, counts, part.labels == 1, features)
        plane = svm.fit(feature_map.matrix(counts, assigned), _signs(part.labels), loss, seed)
        return NgramModel(self.pool, feature_map, plane, features, loss)


class NgramModel:
    def __init__(
        self, pool: Sequence[ngrams.Configuration], feature_map: ngrams.NgramMap, plane: svm.Plane, features: int, loss: str
    ) -> None:
        self._pool, self._feature_map, self._plane, self._features, self._loss = pool, feature_map, plane, features, loss
        self.objective = plane.objective

    def predict(self, part: Part, assigned: npt.NDArray[np.int64]) -> Predictions:
        counts = ngrams.count(self._pool, part.points, assigned, self._features)
        scores = self._feature_map.matrix(counts, assigned) @ self._plane.weights + self._plane.intercept
        return Predictions((scores > 0) == (part.labels == 1), svm.losses(scores, _signs(part.labels), self._loss))


def _one_hot(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    return np.where(np.arange(classes) == labels[:, None], np.float32(1), np.float32(-1))


def _signs(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.where(labels == 1, 1.0, -1.0)
