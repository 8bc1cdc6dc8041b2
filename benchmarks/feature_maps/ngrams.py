"""Hashed bags of n-grams: the configurations, and sparse features of reviews.

The hash is MurmurHash3 of an n-gram's token numbers instead of its letters, with a seed per configuration. The distribution
over buckets is the same, and all n-grams of a corpus are hashed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.feature_maps.murmur import murmur3
from benchmarks.feature_maps.tokens import Words
from harness.seeds import derive

ORDERS: Final = (1, 2, 3)
WEIGHTINGS: Final = ("naive Bayes", "SIF")
FINALS: Final = ("none", "normalise", "average")
SMOOTHING: Final = (1e-5, 10.0)


@dataclass(frozen=True)
class Configuration:
    """A feature map of a review."""

    tokeniser: str
    stop_words: bool
    """True if stop words are removed."""
    lower: bool
    order: int
    """Largest length of the counted n-grams."""
    binary: bool
    weighting: str
    smoothing: float
    final: str
    seed: int
    """Seed of the hash; different for every configuration."""

    def __str__(self) -> str:
        words = [f"{self.tokeniser} tokens", f"{self.order}-grams", self.weighting, f"a = {self.smoothing:.3g}"]
        words += [name for name, on in (("no stop words", self.stop_words), ("lower case", self.lower)) if on]
        words += ["binary"] * self.binary + ([] if self.final == "none" else [self.final])
        return ", ".join(words)


def draw_pool(size: int, world: int, tokenisers: Sequence[str]) -> list[Configuration]:
    """Draw ``size`` configurations: uniform choices, and the smoothing log-uniform in :data:`SMOOTHING`."""
    rng = np.random.default_rng(derive("pool", world))
    low, high = np.log(SMOOTHING)

    def pick(options: Sequence[Any]) -> Any:
        return options[int(rng.integers(len(options)))]

    return [
        Configuration(
            tokeniser=pick(tokenisers),
            stop_words=pick((True, False)),
            lower=pick((True, False)),
            order=pick(ORDERS),
            binary=pick((True, False)),
            weighting=pick(WEIGHTINGS),
            smoothing=float(np.exp(rng.uniform(low, high))),
            final=pick(FINALS),
            seed=int(rng.integers(2**32)),
        )
        for _ in range(size)
    ]


class Tokens:
    """Reviews as token numbers of one tokeniser.

    Args:
        ids: token numbers of all reviews, concatenated.
        ends: start of each review, and the end of the last (reviews + 1,).
        words: result of :func:`~benchmarks.feature_maps.tokens.lowered` for the vocabulary.
    """

    def __init__(self, ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64], words: Words) -> None:
        self._ids, self._ends, self._words = ids, ends, words

    def rows(self, rows: npt.NDArray[np.int64]) -> Tokens:
        """Return a copy of some of the reviews."""
        ids, lengths = self._gather(rows)
        return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), self._words)

    def joined(self, tokens: Tokens) -> Tokens:
        """Return these reviews and ``tokens`` of the same vocabulary."""
        ends = np.concatenate([self._ends, self._ends[-1] + tokens._ends[1:]])
        return Tokens(np.concatenate([self._ids, tokens._ids]), ends, self._words)

    def of(
        self, rows: npt.NDArray[np.int64], lower: bool, stop_words: bool
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Return the concatenated tokens of some reviews, and for each token the position of its review in ``rows``."""
        ids, lengths = self._gather(rows)
        owner = np.repeat(np.arange(len(rows)), lengths)
        same, is_stop = self._words
        if stop_words:
            included = ~is_stop[ids]
            ids, owner = ids[included], owner[included]
        return (same[ids] if lower else ids).astype(np.uint32), owner

    def _gather(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the concatenated tokens of some reviews, and the number of tokens of each review."""
        starts, lengths = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
        begin = np.cumsum(lengths) - lengths
        return self._ids[np.arange(int(lengths.sum())) - np.repeat(begin - starts, lengths)], lengths


class Reviews:
    """Reviews as tokens of every tokeniser of the space, by its name."""

    def __init__(self, tokens: dict[str, Tokens]) -> None:
        self.tokens = tokens

    def joined(self, reviews: Reviews) -> Reviews:
        """Return these reviews and ``reviews``."""
        return Reviews({name: tokens.joined(reviews.tokens[name]) for name, tokens in self.tokens.items()})


class Counts(NamedTuple):
    """Numbers of n-grams by review and bucket, for each pair that occurs."""

    row: npt.NDArray[np.int64]
    bucket: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]


def count(pool: Sequence[Configuration], reviews: Reviews, assigned: npt.NDArray[np.int64], features: int) -> Counts:
    """Count the n-grams of reviews, each under its assigned configuration; a binary configuration counts at most 1."""
    keys = []
    for index in np.unique(assigned).tolist():
        configuration, rows = pool[index], np.flatnonzero(assigned == index)
        ids, owner = reviews.tokens[configuration.tokeniser].of(rows, configuration.lower, configuration.stop_words)
        for n in range(1, configuration.order + 1):
            last = len(ids) - n + 1
            if last <= 0:
                continue
            hashed = murmur3([ids[shift : last + shift] for shift in range(n)], configuration.seed)
            inside = owner[:last] == owner[n - 1 :]
            keys.append(rows[owner[:last][inside]] * features + hashed[inside] % features)
    if not keys:
        return Counts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    occupied, counts = np.unique(np.concatenate(keys), return_counts=True)
    row, bucket = occupied // features, occupied % features
    binary = np.array([configuration.binary for configuration in pool])[assigned[row]]
    return Counts(row, bucket, np.where(binary, 1.0, counts))


class NgramMap:
    """Weighted features. The counts for naive Bayes and SIF weights are of the training reviews under their configurations.

    Naive Bayes: ``log2(p/q)``, p and q the l1-normalised smoothed counts of the positive and the negative reviews. SIF:
    ``t a / (t a + count)``, t the sum of all counts. Only buckets of the training reviews become columns: a linear model
    fitted with l2 regularisation has weight zero in all other buckets.
    """

    def __init__(self, pool: Sequence[Configuration], train: Counts, positive: npt.NDArray[np.bool_], features: int) -> None:
        self._pool, self._features = pool, features
        self.columns, column = np.unique(train.bucket, return_inverse=True)
        split = positive[train.row]
        extra = len(self.columns) + 1  # the last entry is for buckets that do not occur in training
        self._positive = np.bincount(column, train.times * split, extra)
        self._negative = np.bincount(column, train.times * ~split, extra)

    def matrix(self, counts: Counts, assigned: npt.NDArray[np.int64]) -> Any:
        """Return the sparse features, float64 (len(assigned), columns), of reviews counted by :func:`count`."""
        from scipy.sparse import csr_array

        row, n = counts.row, len(assigned)
        column = np.searchsorted(self.columns, counts.bucket)
        known = column < len(self.columns)
        known[known] = self.columns[column[known]] == counts.bucket[known]
        column = np.where(known, column, len(self.columns))
        values = counts.times * self._weights(column, assigned[row])
        final = np.array([FINALS.index(configuration.final) for configuration in self._pool])[assigned]
        norms = np.ones((3, n))
        norms[1] = np.sqrt(np.bincount(row, values**2, n))
        norms[2] = np.bincount(row, counts.times, n)
        scale = norms[final, np.arange(n)]
        values /= np.where(scale > 0, scale, 1.0)[row]
        ends = np.searchsorted(row[known], np.arange(n + 1))
        indices = column[known].astype(np.int32), ends.astype(np.int32)  # the types that liblinear reads
        return csr_array((values[known], *indices), shape=(n, len(self.columns)))

    def _weights(self, column: npt.NDArray[np.int64], of: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the weight of each entry; ``of`` is its configuration."""
        a = np.array([configuration.smoothing for configuration in self._pool])[of]
        bayes = np.array([configuration.weighting == WEIGHTINGS[0] for configuration in self._pool])[of]
        p = (self._positive[column] + a) / (self._positive.sum() + a * self._features)
        q = (self._negative[column] + a) / (self._negative.sum() + a * self._features)
        seen = self._positive + self._negative
        common = seen.sum() * a
        weights: npt.NDArray[np.float64] = np.where(bayes, np.log2(p / q), common / (common + seen[column]))
        return weights
