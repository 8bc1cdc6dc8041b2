"""What searches logged epoch by epoch, and the fall of the entropy compared with that of the method that a row changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.statistics import Paired, paired
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Log, Search, Traces


def families(study: Study, benchmark: str) -> dict[str, list[str]]:
    """Return the rows that are drawn together: by base row, the base row itself and the rows that are compared with it.

    The base row of ``gaea[lr=1]`` is found in this order:

    1. the base row with the same changed settings;
    2. the base row without changed settings;
    3. the base row with other settings, if it ran with one set of settings only.
    """
    ran = study.rows(benchmark)
    groups: dict[str, list[str]] = {}
    for row in ran:
        base = study.base(row)
        candidates = [candidate for candidate in ran if study.unchanged(candidate) == base]
        same = [candidate for candidate in candidates if candidate.partition("[")[2] == row.partition("[")[2]]
        likely = [*same, *[base] * (base in candidates), *(candidates if len(candidates) == 1 else ())]
        if likely:
            groups.setdefault(likely[0], [likely[0]]).append(row)
    return groups


def curves(traces: Traces, benchmark: str, rows: Iterable[str], of: Callable[[Search], pd.Series]) -> dict[str, pd.DataFrame]:
    """Return by row a table (epochs, runs) of what ``of`` returns by epoch; rows without it are left out."""
    tables = {}
    for row in rows:
        by_world = {search.world: of(search) for search in traces.of(benchmark, row).logging()}
        known = {world: curve for world, curve in by_world.items() if len(curve)}
        if known:
            tables[row] = pd.DataFrame(known).loc[: min(curve.index[-1] for curve in known.values())]
    return tables


def logged(log: Columns, name: str) -> pd.Series:
    """Return a logged column by epoch."""
    if Log.EPOCH not in log or name not in log:
        return pd.Series(dtype=float)
    values = pd.Series(np.asarray(log[name], dtype=float), np.asarray(log[Log.EPOCH], dtype=float)).dropna()
    return values.loc[lambda series: series.index > 0]


def last(log: Columns, name: str) -> float | None:
    """Return the last finite value of a logged column."""
    values = np.asarray(log.get(name, []), dtype=float)
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def proposed(search: Search, target: str) -> pd.Series:
    """Return the test accuracy of the proposal in force at the end of each epoch; empty if any epoch has no proposal."""
    ends = logged(search.log, Log.SECONDS)
    changes = np.searchsorted(search.seconds, ends.to_numpy(), side="right") - 1
    if target not in search.test or not len(ends) or (changes < 0).any():
        return pd.Series(dtype=float)
    return pd.Series(search.test[target][changes], ends.index)


def entropies(traces: Traces, benchmark: str, rows: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return by row the entropy of the weights on operations (epochs, runs), over the epochs that all its runs logged."""
    tables = curves(traces, benchmark, rows, lambda search: logged(search.log, Log.ENTROPY))
    return {row: table.dropna() for row, table in tables.items()}


class Fall(NamedTuple):
    """The mean entropy of a row and of its base over their common epochs; NaN and 0 epochs if one of them logged none."""

    row: str
    base: str
    pair: Paired | None
    epochs: int = 0
    own: float = np.nan
    bases: float = np.nan
    end: float = np.nan
    """Mean entropy of the row in its own last epoch."""


def falls(study: Study, traces: Traces, benchmark: str) -> Iterator[Fall]:
    """Yield the entropy of each row and of its base, paired by world."""
    for base, members in families(study, benchmark).items():
        tables = entropies(traces, benchmark, members)
        for row in members[1:]:
            if base not in tables or row not in tables:
                yield Fall(row, base, None)
                continue
            epochs = min(len(tables[base]), len(tables[row]))
            ours, theirs = (tables[name].iloc[:epochs].mean() for name in (row, base))
            end = float(tables[row].iloc[-1].mean())
            yield Fall(row, base, paired(ours, theirs), epochs, float(ours.mean()), float(theirs.mean()), end)


def discretised(traces: Traces, benchmark: str, row: str) -> pd.DataFrame:
    """Return by world the accuracy of the supernet ``before`` and ``after`` discretisation; searches that logged both."""
    logs = {search.world: search.log for search in traces.of(benchmark, row).logging()}
    sides = {"before": Log.SUPERNET_ACCURACY, "after": Log.DISCRETISED_ACCURACY}
    ends = pd.DataFrame({side: {world: last(log, name) for world, log in logs.items()} for side, name in sides.items()})
    return ends.dropna().astype(float)
