"""Estimates, intervals and tests. All values are in the unit of the input (percentage points for accuracies).

The distribution functions come from scipy.special, because importing scipy.stats takes longer than writing a report. The tests
compare every function of this module with scipy.stats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isinf, ldexp, sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr, stdtrit

RESAMPLES = 4000
BOOTSTRAP_FROM = 50  # runs; with fewer, the bootstrap's coverage is below its level and Student t is used
BOOTSTRAP_UP_TO = 2000  # runs; with more, the mean is nearly normal and the bootstrap's draws do not fit in memory
EXACT_UP_TO = 50  # pairs; with more, the signed-rank statistic is nearly normal


class Interval(NamedTuple):
    """A closed interval."""

    low: float
    high: float

    def inside(self, margin: float) -> bool:
        """Return whether the interval lies strictly within ±margin."""
        return -margin < self.low and self.high < margin

    def outside(self, margin: float) -> bool:
        """Return whether the interval lies entirely above +margin or entirely below −margin."""
        return self.low > margin or self.high < -margin


def mean_std(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation as papers print them (ddof 0); NaN for no values, and NaN spread for one value."""
    array = np.asarray(values, dtype=float)
    if not array.size:
        return float("nan"), float("nan")
    return float(array.mean()), float(array.std()) if array.size > 1 else float("nan")


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval | None:
    """Return the confidence interval of a mean; None for n < 3.

    From 50 to 2 000 values the bias-corrected accelerated bootstrap, otherwise Student t.
    """
    array = np.asarray(values, dtype=float)
    if array.size < 3:
        return None
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return Interval(mean, mean)
    if BOOTSTRAP_FROM <= array.size <= BOOTSTRAP_UP_TO:
        return _bca(array, level)
    half = student_quantile(0.5 + level / 2, array.size - 1) * float(array.std(ddof=1)) / sqrt(array.size)
    return Interval(mean - half, mean + half)


@lru_cache(maxsize=2)
def _resample_weights(n: int) -> np.ndarray:
    """Return bootstrap weights (RESAMPLES, n), each row with sum 1; drawn once per n from a fixed seed."""
    drawn = np.random.default_rng(n).integers(0, n, (RESAMPLES, n)) + n * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n)
    return counts.astype(np.float32) / np.float32(n)


def _bca(array: np.ndarray, level: float) -> Interval:
    mean = float(array.mean())
    centred = array - mean
    means = _resample_weights(array.size) @ centred.astype(np.float32)
    # Half of the ties, as scipy does; the share is kept away from 0 and 1, where the correction is not defined.
    share = ((means < 0).sum() + (means <= 0).sum()) / (2 * RESAMPLES)
    bias = ndtri(np.clip(share, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)  # the jackknife of a mean in closed form
    z = bias + ndtri(np.array([0.5 - level / 2, 0.5 + level / 2]))
    low, high = np.quantile(means, ndtr(bias + z / (1 - acceleration * z)))
    return Interval(mean + float(low), mean + float(high))


def student_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t; the normal quantile for infinite df."""
    return float(ndtri(probability)) if isinf(df) else float(stdtrit(df, probability))


@dataclass(frozen=True)
class Difference:
    """Difference of two means, ours minus the other, with Welch's standard error and degrees of freedom."""

    delta: float
    se: float
    df: float

    def interval(self, level: float) -> Interval:
        """Return the confidence interval of the difference."""
        half = student_quantile(0.5 + level / 2, self.df) * self.se if self.se else 0.0
        return Interval(self.delta - half, self.delta + half)

    def p_outside(self, margin: float) -> float:
        """Return the p value of |true difference| ≤ margin; below 0.05 exactly if the 95 % interval lies entirely outside."""
        beyond = abs(self.delta) - margin
        if self.se == 0:
            return 0.0 if beyond > 0 else 1.0
        t = -beyond / self.se
        return min(1.0, 2 * float(ndtr(t) if isinf(self.df) else stdtr(self.df, t)))


def welch(ours: Sequence[float] | np.ndarray, mean: float, std: float, n: float) -> Difference:
    """Compare our values with a printed ``mean ± std`` over n runs.

    A printed std is taken as ddof 0 and becomes std·√(n/(n−1)). ``n = inf`` takes the printed mean as exact.

    Raises:
        ValueError: fewer than two values on either side, which have no standard error.
    """
    array = np.asarray(ours, dtype=float)
    if array.size < 2 or n < 2:
        raise ValueError(f"a standard error needs two runs on either side, got {array.size} and {n:g}")
    own = float(array.var(ddof=1)) / array.size
    printed = 0.0 if isinf(n) else std**2 / (n - 1)  # (std·√(n/(n−1)))² / n
    weight = own**2 / (array.size - 1) + (0.0 if isinf(n) else printed**2 / (n - 1))
    df = (own + printed) ** 2 / weight if weight else inf
    return Difference(float(array.mean()) - mean, sqrt(own + printed), df)


def share_interval(share: float, n: float, level: float = 0.95) -> Interval | None:
    """Return Wilson's interval of a share of n independent trials; None for n < 3. It is never a point, even at 0 or 1."""
    if n < 3:
        return None
    z = float(ndtri(0.5 + level / 2))
    centre, half = share + z**2 / (2 * n), z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(max((centre - half) / (1 + z**2 / n), 0.0), min((centre + half) / (1 + z**2 / n), 1.0))


def equal_weights(samples: Sequence[np.ndarray]) -> tuple[float, Interval | None]:
    """Return the mean of the samples' means, each sample with the same weight, and its 95 % interval.

    Student t with Satterthwaite's degrees of freedom; no interval if a sample has fewer than three values, or if none varies.
    """
    mean = float(np.mean([sample.mean() for sample in samples]))
    if min(sample.size for sample in samples) < 3 or not any(np.ptp(sample) for sample in samples):
        return mean, None
    squares = np.array([sample.var(ddof=1) / sample.size for sample in samples]) / len(samples) ** 2
    weight = sum(square**2 / (sample.size - 1) for square, sample in zip(squares, samples, strict=True))
    return mean, Difference(mean, sqrt(squares.sum()), float(squares.sum() ** 2 / weight)).interval(0.95)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of a family by Holm's step-down method."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)) if p.size else p
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Paired:
    """Comparison of two methods on the same worlds: n pairs, mean difference, its 95 % interval, signed-rank p."""

    n: int
    difference: float
    interval: Interval | None
    p: float


def paired(ours: pd.Series, reference: pd.Series) -> Paired | None:
    """Compare two methods, each a series of values indexed by world seed; None without a common world."""
    differences = (ours.dropna() - reference.dropna()).dropna().to_numpy(dtype=float)
    if not differences.size:
        return None
    return Paired(differences.size, float(differences.mean()), mean_interval(differences), signed_rank(differences))


def signed_rank(differences: Sequence[float] | np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test: exact up to 50 pairs (ties included), else normal, tie-corrected.

    Equal pairs are dropped. Without any difference p is 1. With n pairs the smallest p is 2/2ⁿ.
    """
    array = np.asarray(differences, dtype=float)
    array = array[array != 0]
    n = array.size
    if n == 0:
        return 1.0
    # Differences that are equal in print count as ties even if their last bits differ.
    ranks = pd.Series(np.abs(array).round(9)).rank().to_numpy()
    observed = min(ranks[array > 0].sum(), ranks[array < 0].sum())
    if n > EXACT_UP_TO:
        se = sqrt((ranks**2).sum() / 4)
        return min(1.0, 2 * float(ndtr((observed - ranks.sum() / 2) / se)))
    doubled = (2 * ranks).round().astype(int)  # midranks are halves
    ways = np.zeros(doubled.sum() + 1)
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] = ways[rank:] + ways[:-rank]
    return min(1.0, ldexp(float(ways[: round(2 * observed) + 1].sum()), 1 - n))


def smallest_p(pairs: int) -> float:
    """Return the smallest two-sided p that a signed-rank test can give, 2/2ⁿ; 0 if no float is that small."""
    return min(1.0, ldexp(1.0, 1 - pairs))


def kendall(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return Kendall's rank correlation (b, for ties) and its two-sided p; NaN if all values of either side are equal."""
    from scipy import stats  # takes half a second to import, and most reports do not need it

    result = stats.kendalltau(first, second)
    return float(result.statistic), float(result.pvalue)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation, ties at their mean rank; NaN if all values of either side are equal."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(pd.Series(first).rank(), pd.Series(second).rank())[0, 1])
