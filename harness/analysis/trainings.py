"""Trainings from scratch of proposed cells: a nested design of searches and trainings.

A search is one draw of a method's cell; a training is one draw of a cell's accuracy. Their spreads are separated as in a
one-way analysis of variance with random effects.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from harness.analysis import cell_errors
from harness.analysis.evidence import Training
from harness.analysis.pairs import Comparison, compare
from harness.analysis.study import RANDOM


@dataclass(frozen=True)
class Nested:
    """Mean and spreads of the errors of several trainings of several cells, in percent, or of their perplexities."""

    mean: float  # mean over the trainings of each cell, then over cells
    total: float  # standard deviation over cells of their mean error, ddof 1
    within: float  # standard deviation of trainings of one cell, pooled over cells
    between: float
    """Standard deviation between cells without the part due to single trainings; 0 if that part explains everything."""
    cells: int
    trainings: int


def nested(errors: list[list[float]]) -> Nested:
    """Return mean and spreads; NaN if there are too few cells or trainings.

    Args:
        errors: for each cell, the errors of its trainings.
    """
    cells = pd.Series({cell: values for cell, values in enumerate(errors) if values}, dtype=object).explode().astype(float)
    by_cell = cells.groupby(level=0)
    means, sizes = by_cell.mean(), by_cell.size()
    freedom = len(cells) - len(means)
    pooled = float(((cells - means.reindex(cells.index)) ** 2).sum() / freedom) if freedom else nan
    total = float(means.var(ddof=1))
    between = total - pooled * float((1 / sizes).mean())
    return Nested(float(means.mean()), total**0.5, pooled**0.5, float(np.maximum(between, 0.0)) ** 0.5, len(means), len(cells))


def by_search(trainings: pd.DataFrame, column: str = Training.ACCURACY) -> dict[Hashable, list[float]]:
    """Return by search the errors or perplexities of the finished trainings of one row in one stage."""
    results = cell_errors.results(trainings, column).dropna()
    return {world: group.tolist() for world, group in results.groupby(trainings[Training.WORLD], sort=True)}


def against_random_cells(by_row: Mapping[str, pd.DataFrame]) -> tuple[str, Comparison] | None:
    """Compare rows with random cells, search by search of the same world; None without random cells or other rows.

    Trainings of two rows with the same training seed are no pair: the seed says nothing about the searches.

    Returns:
        The row of random cells, and the other rows compared with it.
    """
    results = {row: cell_errors.results(group).dropna() for row, group in by_row.items()}
    means = {row: values.groupby(by_row[row][Training.WORLD]).mean() for row, values in results.items()}
    reference = next((row for row in means if row.partition("[")[0].partition(":")[0] == RANDOM), None)
    if reference is None or len(means) == 1:
        return None
    return reference, compare({row: series for row, series in means.items() if row != reference}, means[reference])
