"""What only the records of nb201/digits can say: do cells that are the same function agree, and with NAS-Bench-201's table?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.nb201.functions import function, live
from benchmarks.nb201.space import official_order
from benchmarks.nb201.table import Records
from benchmarks.training.statistics import Accuracies, Floats, Rows


def alive(one: Accuracies) -> Rows:
    """The rows of live cells."""
    return np.flatnonzero([live(official_order()[cell]) for cell in one.cells])


class Equal(NamedTuple):
    """Live cells that are the same sum of operations under different unique strings, hence were trained apart."""

    cells: int
    classes: int
    found: float
    """Standard deviation of their means (over the common seeds) within a class, points."""
    expected: float
    """What the seeds alone would make of it, from the spread between the seeds of these cells."""
    different: float
    """The same standard deviation among all these cells, classes ignored."""


def equal_cells(one: Accuracies) -> Equal:
    """By validation."""
    classes: dict[str, list[int]] = {}
    for row, cell in enumerate(one.cells):
        if name := function(official_order()[cell]):
            classes.setdefault(name, []).append(row)
    several = [rows for rows in classes.values() if len(rows) > 1]
    rows = [row for rows in several for row in rows]
    if not several:
        return Equal(0, 0, np.nan, np.nan, np.nan)
    first = one.valid[:, : one.common]
    means = first.mean(axis=1)
    squares = sum(float(((means[rows] - means[rows].mean()) ** 2).sum()) for rows in several)
    seeds = float(first[rows].var(axis=1, ddof=1).mean()) / one.common
    found = (squares / (len(rows) - len(several))) ** 0.5
    return Equal(len(rows), len(several), found, seeds**0.5, float(means[rows].std(ddof=1)))


def theirs(one: Accuracies, records: Records) -> dict[str, Floats]:
    """What NAS-Bench-201 reports of the same cells, by target: 200 epochs, ori-test on CIFAR-10, x-test elsewhere."""
    reported = {"cifar10": "ori-test", "cifar100": "x-test", "imagenet16-120": "x-test"}
    means = {target: records.mean(target, 200, split, "accuracy") for target, split in reported.items()}
    return {target: mean[one.cells] for target, mean in means.items() if mean is not None}
