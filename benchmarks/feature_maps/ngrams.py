"""Hashed bags of n-grams: the configurations, and sparse features of reviews.

The hash is MurmurHash3 of an n-gram's token numbers rather than of its letters, seeded per configuration: the same
distribution over buckets, and all n-grams of a corpus at once.
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

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """One feature map of a review."""

    tokeniser: str
    stop_words: bool
    """Whether they are removed."""
    lower: bool
    order: int
    """All n-grams up to this length are counted."""
    binary: bool
    weighting: str
    smoothing: float
    final: str
    seed: int
    """Of the hash: another one for every configuration."""

    def __str__(self) -> str:
        words = [f"{self.tokeniser} tokens", f"{self.order}-grams", self.weighting, f"a = {self.smoothing:.3g}"]
        words += [name for name, on in (("no stop words", self.stop_words), ("lower case", self.lower)) if on]
        words += ["binary"] * self.binary + ([] if self.final == "none" else [self.final])
        return ", ".join(words)


def draw_pool(size: int, world: int, tokenisers: Sequence[str]) -> list[Configuration]:
    """``size`` configurations: uniform choices, and the smoothing log-uniform in :data:`SMOOTHING`."""
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
    """Reviews as numbers of their tokens under one tokeniser.

    Args:
        ids: tokens of all reviews one after the other, as numbers.
        ends: where each review begins, and the end (reviews + 1,).
        words: what :func:`~benchmarks.feature_maps.tokens.lowered` says of the vocabulary.
    """

    def __init__(self, ids: npt.NDArray[np.int32], ends: Indices, words: Words) -> None:
        self._ids, self._ends, self._words = ids, ends, words

    def rows(self, rows: Indices) -> Tokens:
        """Some of the reviews, copied: the result holds no others."""
        ids, lengths = self._gather(rows)
        return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), self._words)

    def joined(self, other: Tokens) -> Tokens:
        """These reviews and others of the same vocabulary."""
        ends = np.concatenate([self._ends, self._ends[-1] + other._ends[1:]])
        return Tokens(np.concatenate([self._ids, other._ids]), ends, self._words)

    def of(self, rows: Indices, lower: bool, stop_words: bool) -> tuple[npt.NDArray[np.uint32], Indices]:
        """Tokens of some reviews one after the other, and for each the position in ``rows`` of its review."""
        ids, lengths = self._gather(rows)
        owner = np.repeat(np.arange(len(rows)), lengths)
        same, is_stop = self._words
        if stop_words:
            kept = ~is_stop[ids]
            ids, owner = ids[kept], owner[kept]
        return (same[ids] if lower else ids).astype(np.uint32), owner

    def _gather(self, rows: Indices) -> tuple[npt.NDArray[np.int32], Indices]:
        """Tokens of some reviews one after the other, and how many each has."""
        starts, lengths = self._ends[rows], self._ends[rows + 1] - self._ends[rows]
        begin = np.cumsum(lengths) - lengths
        return self._ids[np.arange(int(lengths.sum())) - np.repeat(begin - starts, lengths)], lengths


class Reviews:
    """Reviews under every tokeniser of the space, by its name."""

    def __init__(self, tokens: dict[str, Tokens]) -> None:
        self.tokens = tokens

    def joined(self, other: Reviews) -> Reviews:
        """These reviews and others."""
        return Reviews({name: mine.joined(other.tokens[name]) for name, mine in self.tokens.items()})


class Counts(NamedTuple):
    """How often a review's n-grams fall into a bucket, one entry per pair that occurs, by review and bucket."""

    row: Indices
    bucket: Indices
    times: Floats


def count(pool: Sequence[Configuration], reviews: Reviews, assigned: Indices, features: int) -> Counts:
    """Bucket counts of reviews, each under its own configuration; 1 where that is binary."""
    keys = []
    for index in np.unique(assigned).tolist():
        one, mine = pool[index], np.flatnonzero(assigned == index)
        ids, owner = reviews.tokens[one.tokeniser].of(mine, one.lower, one.stop_words)
        for n in range(1, one.order + 1):
            last = len(ids) - n + 1
            if last <= 0:
                continue
            hashed = murmur3([ids[shift : last + shift] for shift in range(n)], one.seed)
            whole = owner[:last] == owner[n - 1 :]
            keys.append(mine[owner[:last][whole]] * features + hashed[whole] % features)
    if not keys:
        return Counts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    row, bucket = found // features, found % features
    binary = np.array([one.binary for one in pool])[assigned[row]]
    return Counts(row, bucket, np.where(binary, 1.0, counts))


class NgramMap:
    """Weighted features: what naive Bayes and SIF weights need is counted on the training reviews, mixed as they are.

    Naive Bayes: ``log2(p/q)``, p and q the l1-normalised smoothed counts of the positive and the negative reviews. SIF:
    ``t a / (t a + count)``, t the sum of all counts. The buckets of the training reviews alone become columns: a linear model
    fitted with l2 regularisation has weight zero in all others.
    """

    def __init__(self, pool: Sequence[Configuration], train: Counts, positive: npt.NDArray[np.bool_], features: int) -> None:
        self._pool, self._features = pool, features
        self.columns, column = np.unique(train.bucket, return_inverse=True)
        split = positive[train.row]
        extra = len(self.columns) + 1  # the last place is that of buckets never seen
        self._positive = np.bincount(column, train.times * split, extra)
        self._negative = np.bincount(column, train.times * ~split, extra)

    def matrix(self, counts: Counts, assigned: Indices) -> Any:
        """Sparse float64 (len(assigned), columns) of reviews counted by :func:`count`."""
        from scipy.sparse import csr_array

        row, n = counts.row, len(assigned)
        column = np.searchsorted(self.columns, counts.bucket)
        known = column < len(self.columns)
        known[known] = self.columns[column[known]] == counts.bucket[known]
        column = np.where(known, column, len(self.columns))
        values = counts.times * self._weights(column, assigned[row])
        final = np.array([FINALS.index(one.final) for one in self._pool])[assigned]
        norms = np.ones((3, n))
        norms[1] = np.sqrt(np.bincount(row, values**2, n))
        norms[2] = np.bincount(row, counts.times, n)
        scale = norms[final, np.arange(n)]
        values /= np.where(scale > 0, scale, 1.0)[row]
        ends = np.searchsorted(row[known], np.arange(n + 1))
        indices = column[known].astype(np.int32), ends.astype(np.int32)  # all that liblinear reads
        return csr_array((values[known], *indices), shape=(n, len(self.columns)))

    def _weights(self, column: Indices, of: Indices) -> Floats:
        """The weight of each entry, whose configuration is ``of``."""
        a = np.array([one.smoothing for one in self._pool])[of]
        bayes = np.array([one.weighting == WEIGHTINGS[0] for one in self._pool])[of]
        p = (self._positive[column] + a) / (self._positive.sum() + a * self._features)
        q = (self._negative[column] + a) / (self._negative.sum() + a * self._features)
        seen = self._positive + self._negative
        common = seen.sum() * a
        weights: Floats = np.where(bayes, np.log2(p / q), common / (common + seen[column]))
        return weights
