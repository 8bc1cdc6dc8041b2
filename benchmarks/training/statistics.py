"""What the records of a table say of themselves: spread, noise of the seeds, agreement with another table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.images.digits import SIZES
from benchmarks.training.build import RECIPES, TOP_SHARE
from benchmarks.training.table import Columns

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Accuracies:
    """Of one recipe, in percent: a row per cell, a column per seed, NaN where a cell was not trained with a seed."""

    cells: npt.NDArray[np.int64]
    """Their numbers, ascending."""
    valid: Floats
    test: Floats

    @property
    def common(self) -> int:
        """How many seeds every cell has; they come first."""
        return int((~np.isnan(self.valid)).all(axis=0).sum())


def accuracies(final: Columns, draws: int) -> dict[str, Accuracies]:
    """By recipe. ``final`` as :func:`benchmarks.training.table.records` answers it."""
    cells, row = np.unique(final["cell"].astype(np.int64), return_inverse=True)
    found = {}
    for recipe in RECIPES:
        parts = []
        for part, images in (("valid", SIZES[1]), ("test", SIZES[2])):
            values = np.full((len(cells), int(final["seed"].max()) + 1), np.nan)
            values[row, final["seed"]] = final[f"{recipe}_{part}"] * (100 / (images * draws))
            parts.append(values)
        found[recipe] = Accuracies(cells, *parts)
    return found


class Noise(NamedTuple):
    """How far the seeds hide the cells, among some cells."""

    cells: int
    between: float
    """Standard deviation between cells, that of their means less the seeds' part of it, points."""
    within: float
    """Standard deviation between the seeds of a cell, points."""
    seed_to_seed: float
    """Spearman's correlation between two seeds, mean over pairs."""
    three: float
    """Reliability of a mean of three: the share of the variance between cells in that of such means."""
    three_two: float
    """Spearman's correlation of the mean of the first three seeds with that of the other two; NaN where there are not five."""
    valid_test: float
    """Spearman's correlation of mean validation with mean test."""


def noise(one: Accuracies, rows: Rows) -> Noise:
    """Among the cells in ``rows``; between and within over the seeds that every cell has."""
    valid, n = one.valid[rows], one.common
    first = valid[:, :n]
    within = float(first.var(axis=1, ddof=1).mean()) if n > 1 else np.nan
    between = max(float(first.mean(axis=1).var(ddof=1)) - within / n, 0.0)
    pairs = [spearman(first[:, a], first[:, b]) for a, b in itertools.combinations(range(n), 2)]
    rest = valid[:, n:]
    five = rest.size > 0 and not np.isnan(rest).any()
    return Noise(
        cells=len(rows),
        between=between**0.5,
        within=within**0.5,
        seed_to_seed=float(np.mean(pairs)) if pairs else np.nan,
        three=between / (between + within / 3),
        three_two=spearman(first.mean(axis=1), rest.mean(axis=1)) if five else np.nan,
        valid_test=spearman(first.mean(axis=1), one.test[rows, :n].mean(axis=1)),
    )


def spearman(a: Floats, b: Floats) -> float:
    """NaN where there are fewer than three or one side is constant."""
    return float(stats.spearmanr(a, b).statistic) if len(a) > 2 and np.ptp(a) and np.ptp(b) else np.nan


def groups(long: Accuracies) -> dict[str, Rows]:
    """Rows by what they are among: all, and the best by mean validation of the long recipe over the common seeds."""
    mean = long.valid[:, : long.common].mean(axis=1)
    order = np.lexsort((long.cells, -mean))
    return {
        "all": np.arange(len(mean)),
        "top half": order[: len(order) // 2],
        "top tenth": order[: round(TOP_SHARE * len(order))],
    }


def kendall(long: Accuracies, theirs: Mapping[str, Floats]) -> dict[tuple[str, str], tuple[int, float]]:
    """Kendall's τ-b of the long recipe's mean test with another table: ``{(target, among): (cells, τ)}``.

    Args:
        theirs: by target, the other table's value of each cell, NaN where it has none.

    Among the top tenth of either side, as chosen by these very values.
    """
    ours = long.test[:, : long.common].mean(axis=1)
    found = {}
    for target, values in theirs.items():
        known = ~np.isnan(values)
        a, b = ours[known], values[known]
        best = round(TOP_SHARE * len(a))
        ours_best, theirs_best = (np.argsort(-one, kind="stable")[:best] for one in (a, b))
        among = {"all": np.arange(len(a)), "our top tenth": ours_best, "their top tenth": theirs_best}
        for name, rows in among.items():
            found[target, name] = len(rows), float(stats.kendalltau(a[rows], b[rows]).statistic)
    return found


def quantiles(values: Floats) -> dict[str, float]:
    """Of a mean over seeds, by name."""
    at = {"min": 0, "10 %": 10, "25 %": 25, "median": 50, "75 %": 75, "90 %": 90, "99 %": 99, "max": 100}
    return {name: float(np.percentile(values, share)) for name, share in at.items()}


def best(long: Accuracies, count: int = 5) -> list[tuple[int, float, float, int]]:
    """Number, mean validation, mean test and number of seeds of the cells with the best mean test."""
    valid, test = np.nanmean(long.valid, axis=1), np.nanmean(long.test, axis=1)
    seeds = (~np.isnan(long.test)).sum(axis=1)
    order = np.lexsort((long.cells, -test))[:count]
    return [(int(long.cells[row]), float(valid[row]), float(test[row]), int(seeds[row])) for row in order]
