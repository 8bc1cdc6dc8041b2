"""Pruning of a network under penalties of growing strength (SparseNAS, figure 3): the quantities of each pruned network."""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.analysis.study import Study
from harness.analysis.traces import Log, Search, Traces

TEST: Final = "test accuracy"
"""The quantity that a search does not log: the judge tests each pruned network."""


def values(search: Search, quantity: str, target: str) -> np.ndarray:
    """Return a quantity of the network of each strength, ascending; empty if the search logged no strengths.

    A search proposes the pruned network of each strength in that order, so that test accuracies belong to the strengths.
    """
    strengths = np.asarray(search.log.get(Log.STRENGTH, ()), dtype=float)
    column = search.test.get(target, ()) if quantity == TEST else search.log.get(quantity, ())
    return np.asarray(column, dtype=float) if len(column) == len(strengths) else np.empty(0)


def mean(search: Search, quantity: str, target: str) -> float | None:
    """Return the mean of a quantity over the strengths; None if the search does not have it."""
    column = values(search, quantity, target)
    return float(column.mean()) if len(column) else None


def stacked(searches: list[Search], quantity: str, target: str) -> np.ndarray:
    """Return (runs, strengths) of the runs of a row."""
    return np.array([values(search, quantity, target) for search in searches])


def by_penalty(study: Study, traces: Traces, benchmark: str, target: str) -> dict[float, dict[str, list[Search]]]:
    """Return by share of the l1 term in the penalty, and by row, the searches that pruned."""
    grouped: dict[float, dict[str, list[Search]]] = {}
    for row in study.rows(benchmark):
        searches = [search for search in traces.of(benchmark, row).logging() if len(values(search, TEST, target))]
        share = study.settings(benchmark, row).get("mixture")
        if searches and isinstance(share, (int, float)):
            grouped.setdefault(float(share), {})[row] = searches
    return grouped
