"""Linear models on feature maps that differ from point to point: what both data sets offer in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.feature_maps import fourier, ngrams, ridge, svm

Indices = npt.NDArray[np.int64]

KEPT: Final = 24
"""Blocks of random numbers that are kept for the next look at the same features: 300 MB for 3 072 columns."""


@dataclass(frozen=True, eq=False)
class Part:
    """Points of one part of a data set; reaches no point of another."""

    points: Any
    """:class:`~benchmarks.feature_maps.fourier.Images` or :class:`~benchmarks.feature_maps.ngrams.Reviews`."""
    labels: Indices

    def __len__(self) -> int:
        return len(self.labels)


class Answers(NamedTuple):
    """What a model says of some points, in their order."""

    correct: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.float64]


class Model(Protocol):
    """A linear model, fitted."""

    objective: float
    """The regularised training loss that it minimises."""

    def answers(self, part: Part, assigned: Indices) -> Answers:
        """Answers on the points of ``part``, each under its configuration ``assigned`` (N,)."""
        ...


class Maps(Protocol):
    """A pool of feature maps and the solver that goes with it."""

    pool: Sequence[Any]

    def fit(self, part: Part, assigned: Indices, features: int, seed: int, loss: str) -> Model:
        """One call of the solver: fits the points of ``part``, each under its configuration ``assigned`` (N,)."""
        ...


class FourierRidge:
    """Random Fourier features under one-vs-all ridge regression on targets 1 and -1; the loss is the squared error."""

    def __init__(self, pool: Sequence[fourier.Configuration], classes: int, solver: str = "lsqr") -> None:
        self.pool, self.classes, self.solver = pool, classes, solver
        # of this pool alone: what a solver call costs must not depend on the searches that this process made before
        self._draw = lru_cache(maxsize=KEPT)(fourier.draw)

    def fit(self, part: Part, assigned: Indices, features: int, seed: int, loss: str) -> FourierModel:
        made = fourier.FourierMap(self.pool, features, seed, self._draw)
        targets = _one_hot(part.labels, self.classes)
        line = ridge.fit(lambda: made.blocks(part.points, assigned), features, targets, self.solver)
        return FourierModel(made, line)


class FourierModel:
    def __init__(self, made: fourier.FourierMap, line: ridge.Line) -> None:
        self._made, self._line, self.objective = made, line, line.objective

    def answers(self, part: Part, assigned: Indices) -> Answers:
        weights, intercept, _ = self._line
        scores = np.zeros((len(part), len(intercept)), np.float32)
        for first, block in self._made.blocks(part.points, assigned):
            scores += block @ weights[first : first + block.shape[1]]
        scores += intercept
        squared = (scores - _one_hot(part.labels, len(intercept))) ** 2
        return Answers(scores.argmax(axis=1) == part.labels, squared.sum(axis=1, dtype=np.float64))


class NgramSvm:
    """Hashed bags of n-grams under a linear support vector machine."""

    def __init__(self, pool: Sequence[ngrams.Configuration]) -> None:
        self.pool = pool

    def fit(self, part: Part, assigned: Indices, features: int, seed: int, loss: str) -> NgramModel:
        counts = ngrams.count(self.pool, part.points, assigned, features)
        made = ngrams.NgramMap(self.pool, counts, part.labels == 1, features)
        plane = svm.fit(made.matrix(counts, assigned), _signs(part.labels), loss, seed)
        return NgramModel(self.pool, made, plane, features, loss)


class NgramModel:
    def __init__(
        self, pool: Sequence[ngrams.Configuration], made: ngrams.NgramMap, plane: svm.Plane, features: int, loss: str
    ) -> None:
        self._pool, self._made, self._plane, self._features, self._loss = pool, made, plane, features, loss
        self.objective = plane.objective

    def answers(self, part: Part, assigned: Indices) -> Answers:
        counts = ngrams.count(self._pool, part.points, assigned, self._features)
        scores = self._made.matrix(counts, assigned) @ self._plane.weights + self._plane.intercept
        return Answers((scores > 0) == (part.labels == 1), svm.losses(scores, _signs(part.labels), self._loss))


def _one_hot(labels: Indices, classes: int) -> npt.NDArray[np.float32]:
    return np.where(np.arange(classes) == labels[:, None], np.float32(1), np.float32(-1))


def _signs(labels: Indices) -> npt.NDArray[np.float64]:
    return np.where(labels == 1, 1.0, -1.0)
