"""Regret at every epoch for tables that lack some cells.

Missing cells are not missing at random. A mean is shown only if the proposals of all runs are in the table. Otherwise two
bounds are shown: every missing cell is taken as the worst, or as the best, recorded cell.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.analysis.epochs import curves, proposed
from harness.analysis.evidence import Reference
from harness.analysis.study import Study
from harness.analysis.traces import Traces


def references(study: Study, benchmark: str) -> tuple[Reference, ...]:
    """Return the errors that regret may be counted from; empty if the benchmark states none."""
    return next((part.references for part in study.parts(benchmark) if part.references), ())


def partly_recorded(study: Study) -> Iterator[tuple[str, str, float]]:
    """Yield (benchmark, target, largest regret of a recorded cell) of benchmarks that state references."""
    for benchmark in study.benchmarks:
        for target, best in study.optima(benchmark).items() if references(study, benchmark) else ():
            worst = study.of_target("worst", benchmark, target)
            if worst is not None:
                yield benchmark, target, best - worst


def regrets(study: Study, traces: Traces, benchmark: str, target: str) -> dict[str, pd.DataFrame]:
    """Return by row that proposes at every epoch its regrets (epochs, runs); NaN if a cell is not in the table."""
    tests = curves(traces, benchmark, study.rows(benchmark), lambda search: proposed(search, target))
    return {row: study.optima(benchmark)[target] - table for row, table in tests.items()}


def bounds(regrets: np.ndarray, span: float) -> tuple[float, float]:
    """Return the mean of regrets with missing values (NaN) taken as 0, and taken as ``span``."""
    return float(np.nan_to_num(regrets, nan=0.0).mean()), float(np.nan_to_num(regrets, nan=span).mean())
