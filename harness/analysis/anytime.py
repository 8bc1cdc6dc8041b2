"""Searches over their cost: those whose schedules were fitted to budgets, and comparisons at an equal cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.evidence import Run
from harness.analysis.pairs import Comparison, compare
from harness.analysis.study import Study
from harness.analysis.traces import RowTraces, Traces

CURRENCIES = ("queries", "seconds")
"""The currencies that searches are compared in, see :meth:`harness.analysis.traces.RowTraces.spent`."""


def several_budgets(study: Study, benchmark: str) -> pd.DataFrame:
    """Return the searches of a benchmark with fitted schedules; none if no row ran under two budgets."""
    table = study.evidence.fitted
    fitted = table[(table[Run.BENCHMARK] == benchmark) & (table["currency"] == "seconds")]
    fitted = fitted[~fitted[Run.ROW].isin([row for row in study.rows(benchmark) if study.free(benchmark, row)])]
    return fitted if fitted.groupby(Run.ROW)["limit"].nunique().gt(1).any() else fitted.iloc[:0]


def longest(study: Study, traces: Traces, benchmark: str, row: str, several: bool) -> RowTraces:
    """Return the searches of a row, those of its largest budget if the store has several."""
    largest = study.evidence.longest.of(benchmark, row)
    return largest if several and len(largest) else traces.of(benchmark, row)


def without_optimum(study: Study, traces: Traces) -> Iterator[tuple[str, str, dict[str, RowTraces]]]:
    """Yield (benchmark, target, searches by row) of targets with unknown optimum, without unrecorded proposals."""
    for benchmark in study.benchmarks:
        known = study.optima(benchmark)
        for target in study.targets(benchmark):
            by_row = {}
            for row in study.rows(benchmark) if target not in known else ():
                searches = traces.of(benchmark, row).proposing(target)
                if len(searches):
                    searches = searches.where(np.minimum.reduceat(np.isfinite(searches.test[target]), searches.starts[:-1]))
                if any(searches.spent(currency)[1].any() for currency in CURRENCIES):  # not other currencies alone
                    by_row[row] = searches
            if by_row:
                yield benchmark, target, by_row


class EqualBudget(NamedTuple):
    """The rows of a benchmark at the cost that random search spent in the same world."""

    target: str
    currency: str
    accuracies: dict[str, pd.Series]
    """By row, test accuracy by world; random search is the first row."""
    comparison: Comparison


def equal_budgets(study: Study, traces: Traces, benchmark: str) -> Iterator[EqualBudget]:
    """Yield by target with unknown optimum and currency every row at the cost of random search; nothing if that did not run."""
    reference = study.reference(benchmark)
    for name, target, searches in without_optimum(study, traces):
        if name != benchmark or reference is None or reference not in searches:
            continue
        for currency in CURRENCIES:
            _, ends = searches[reference].spent(currency)
            limits = dict(zip(searches[reference].worlds.tolist(), ends.tolist(), strict=True))
            reached = {row: own.at(target, own.spent(currency)[0], limits) for row, own in searches.items()}
            others = {row: reached.get(row, pd.Series(dtype=float)) for row in study.rows(benchmark) if row != reference}
            comparison = compare(others, reached[reference])
            yield EqualBudget(target, currency, {reference: reached[reference], **others}, comparison)
