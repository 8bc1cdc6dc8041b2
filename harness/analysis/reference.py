"""Random search as the reference of every row, at the row's own charge where the rows have no common budget."""

from __future__ import annotations

import pandas as pd

from harness.analysis.pairs import Comparison, compare
from harness.analysis.study import Study

ROUNDING = 1e-12
"""Relative error of sums of charges."""


def at_own_charge(study: Study, benchmark: str) -> list[str]:
    """Return the rows that are compared with random search stopped at their own charge.

    These are the rows of weight sharing, except rows that are charged nothing; none if all rows have a common budget.
    """
    if study.reference(benchmark) is None or study.common_budget(benchmark):
        return []
    return [row for row in study.shared_weights(benchmark) if not study.free(benchmark, row)]


def values(study: Study, benchmark: str, row: str, target: str) -> pd.Series:
    """Return by world the test accuracy of random search that a row is compared with.

    It is that of the last proposal, or of the proposal in force once random search had been charged as many seconds as the
    row's search in the same world. A world has no entry if random search had no proposal by then, or had ended before: what it
    would have proposed after its end is not known.
    """
    reference = study.reference(benchmark)
    if reference is None:
        return pd.Series(dtype=float)
    if row not in at_own_charge(study, benchmark):
        return study.by_world(benchmark, reference, target)
    searches, ours = (study.evidence.traces.of(benchmark, name) for name in (reference, row))
    ends, charges = (dict(zip(traces.worlds.tolist(), traces.end.tolist(), strict=True)) for traces in (searches, ours))
    more = 1 + ROUNDING
    limits = {world: charge * more for world, charge in charges.items() if charge <= ends.get(world, 0.0) * more}
    return searches.at(target, searches.seconds, limits)


def comparisons(study: Study, benchmark: str) -> dict[str, Comparison]:
    """Return by target every row compared with random search; rows that are charged nothing are no methods to compare."""
    compared = [row for row in study.rows(benchmark) if row != study.reference(benchmark) and not study.free(benchmark, row)]
    by_target = {}
    for target in study.targets(benchmark):
        gains = {row: study.by_world(benchmark, row, target) - values(study, benchmark, row, target) for row in compared}
        worlds = sorted({world for gain in gains.values() for world in gain.index})
        by_target[target] = compare(gains, pd.Series(0.0, worlds, dtype=float))
    return by_target
