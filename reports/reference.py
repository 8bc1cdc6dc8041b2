"""Random search as the reference of every row, at the row's own charge where the rows have no common budget."""

from __future__ import annotations

import pandas as pd

from reports.evidence import Run
from reports.formats import MISSING, probability, spread, target_name
from reports.layout import Column, Table
from reports.pairs import CORRECTED, Comparison, compare, families, noted
from reports.statistics import mean_std
from reports.study import Study
from reports.verdict import margin_of

ROUNDING = 1e-12
"""Relative error of sums of charges."""
LEFT_OUT = " Worlds in which random search had no proposal by then, or had ended before, are left out."


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


def at_charge(study: Study, benchmark: str, row: str, target: str) -> str:
    """Return the accuracy of random search at a row's charge as text, with n if worlds are left out; empty for other rows."""
    if row not in at_own_charge(study, benchmark):
        return ""
    accuracies = values(study, benchmark, row, target).dropna().to_numpy(dtype=float)
    worlds = study.done(benchmark, row)[Run.WORLD].nunique()
    return spread(*mean_std(accuracies)) + (f" (n = {accuracies.size})" if 0 < accuracies.size < worlds else "")


def comparisons(study: Study, benchmark: str) -> dict[str, Comparison]:
    """Return by target every row compared with random search; rows that are charged nothing are no methods to compare."""
    compared = [row for row in study.rows(benchmark) if row != study.reference(benchmark) and not study.free(benchmark, row)]
    by_target = {}
    for target in study.targets(benchmark):
        gains = {row: study.by_world(benchmark, row, target) - values(study, benchmark, row, target) for row in compared}
        worlds = sorted({world for gain in gains.values() for world in gain.index})
        by_target[target] = compare(gains, pd.Series(0.0, worlds, dtype=float), target_name(target))
    return by_target


def table(study: Study, benchmark: str) -> Table | None:
    """Compare every row with random search on the same world seeds; None if random search did not run."""
    baseline = study.reference(benchmark)
    compared = comparisons(study, benchmark)
    rows = next(iter(compared.values())).rows if compared else []
    if baseline is None or not rows:
        return None
    bounded = any(margin_of(benchmark, target) is not None for target in compared)
    names = ["method", "target", "pairs", "difference [95 %]", "p", "p (Holm)", *(["beyond δ"] if bounded else [])]
    lines = Table("", [Column(name, right=name not in ("method", "target", "beyond δ")) for name in names])
    for row in (row for family in families(rows) for row in family):
        for index, (target, comparison) in enumerate(compared.items()):
            margin, pair = margin_of(benchmark, target), comparison.pairs.get(row)
            beyond = MISSING if margin is None or pair is None else "yes" if abs(pair.difference) > margin else "no"
            difference, corrected = comparison.cells(row)
            cells = [str(pair.n if pair else 0), difference, probability(pair.p) if pair else MISSING, corrected]
            cells += [beyond] if bounded else []
            lines.add([study.label(row), target_name(target), *cells], rule=index == 0 and bool(lines.rows))
    lines.caption = (
        f"Each row against {study.label(baseline)} on the same world seeds: mean difference of test accuracy in points with "
        f"its 95 % interval; Wilcoxon’s signed-rank test (exact up to 50 pairs), {CORRECTED}."
    )
    if at_own_charge(study, benchmark):
        lines.caption += (
            f" Rows of weight sharing ran their own schedules: they are compared with the proposal of {study.label(baseline)} "
            "in force once it had been charged as many seconds as the row in the same world." + LEFT_OUT
        )
    if bounded:
        lines.caption += " beyond δ: whether the mean difference is larger than the margin"
        lines.caption += ", which matters where many seeds make every difference significant."
    lines.caption += noted([remark for comparison in compared.values() for remark in comparison.remarks])
    return lines
