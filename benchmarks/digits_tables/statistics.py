"""Statistics of a table's records: quantiles, noise of the seeds, agreement with another table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmarks.bundled.bundle import Columns
from benchmarks.bundled.clock import Floats
from benchmarks.digits_tables.shards import RECIPES, TOP_SHARE
from benchmarks.images.digits import SIZES

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Accuracies:
    """Accuracies of one recipe, percent: a row per cell, a column per seed, NaN if a cell was not trained with a seed."""

    cells: npt.NDArray[np.int64]
    """Numbers of the cells, ascending."""
    valid: Floats
    test: Floats

    @property
    def common(self) -> int:
        """Number of seeds that every cell has. They are the first columns."""
        return int((~np.isnan(self.valid)).all(axis=0).sum())


def accuracies(final: Columns, draws: int) -> dict[str, Accuracies]:
    """Return the accuracies by recipe.

    Args:
        final: columns, as :func:`benchmarks.digits_tables.assembly.records` returns them.
        draws: noise draws of each evaluated image.
    """
    cells, row = np.unique(final["cell"].astype(np.int64), return_inverse=True)
    by_recipe = {}
    for recipe in RECIPES:
        parts = []
        for part, images in (("valid", SIZES[1]), ("test", SIZES[2])):
            values = np.full((len(cells), int(final["seed"].max()) + 1), np.nan)
            values[row, final["seed"]] = final[f"{recipe}_{part}"] * (100 / (images * draws))
            parts.append(values)
        by_recipe[recipe] = Accuracies(cells, *parts)
    return by_recipe


class Noise(NamedTuple):
    """The share of the differences among some cells that comes from the seeds."""

    cells: int
    between: float
    """Standard deviation between cells, points: the deviation of their means without the share of the seeds."""
    within: float
    """Standard deviation between the seeds of a cell, points."""
    seed_to_seed: float
    """Spearman's correlation between two seeds, mean over pairs."""
    three: float
    """Reliability of a mean of three seeds: the share of the variance between cells in the variance of such means."""
    three_two: float
    """Spearman's correlation of the mean of the first three seeds with the mean of the other two; NaN without five seeds."""
    valid_test: float
    """Spearman's correlation of mean validation with mean test."""


def noise(accuracies: Accuracies, rows: Rows) -> Noise:
    """Return the noise among the cells in ``rows``, from the seeds that every cell has."""
    valid, n = accuracies.valid[rows], accuracies.common
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
        valid_test=spearman(first.mean(axis=1), accuracies.test[rows, :n].mean(axis=1)),
    )


def spearman(a: Floats, b: Floats) -> float:
    """Return Spearman's correlation; NaN for fewer than three values or constant values."""
    return float(stats.spearmanr(a, b).statistic) if len(a) > 2 and np.ptp(a) and np.ptp(b) else np.nan


def groups(long: Accuracies) -> dict[str, Rows]:
    """Return the rows of all cells, of the top half and of the top tenth.

    The order of cells is their mean validation accuracy by the long recipe over the common seeds.
    """
    mean = long.valid[:, : long.common].mean(axis=1)
    order = np.lexsort((long.cells, -mean))
    return {
        "all": np.arange(len(mean)),
        "top half": order[: len(order) // 2],
        "top tenth": order[: round(TOP_SHARE * len(order))],
    }


def kendall(long: Accuracies, theirs: Mapping[str, Floats]) -> dict[tuple[str, str], tuple[int, float]]:
    """Return Kendall's τ-b of the long recipe's mean test with another table: ``{(target, group): (cells, τ)}``.

    The groups are all cells and the top tenth of either table, chosen by the compared values.

    Args:
        long: accuracies of the long recipe.
        theirs: by target, the other table's value of each cell, NaN if it has none.
    """
    ours = long.test[:, : long.common].mean(axis=1)
    correlations = {}
    for target, values in theirs.items():
        known = ~np.isnan(values)
        a, b = ours[known], values[known]
        best = round(TOP_SHARE * len(a))
        ours_best, theirs_best = (np.argsort(-side, kind="stable")[:best] for side in (a, b))
        among = {"all": np.arange(len(a)), "our top tenth": ours_best, "their top tenth": theirs_best}
        for name, rows in among.items():
            correlations[target, name] = len(rows), float(stats.kendalltau(a[rows], b[rows]).statistic)
    return correlations


def quantiles(values: Floats) -> dict[str, float]:
    """Return the quantiles of mean accuracies by name."""
    at = {"min": 0, "10 %": 10, "25 %": 25, "median": 50, "75 %": 75, "90 %": 90, "99 %": 99, "max": 100}
    return {name: float(np.percentile(values, share)) for name, share in at.items()}


def best(long: Accuracies, count: int = 5) -> list[tuple[int, float, float, int]]:
    """Return number, mean validation, mean test (percent) and number of seeds of the cells with the best mean test."""
    valid, test = np.nanmean(long.valid, axis=1), np.nanmean(long.test, axis=1)
    seeds = (~np.isnan(long.test)).sum(axis=1)
    order = np.lexsort((long.cells, -test))[:count]
    return [(int(long.cells[row]), float(valid[row]), float(test[row]), int(seeds[row])) for row in order]
