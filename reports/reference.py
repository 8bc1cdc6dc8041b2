"""Random search as the reference of every row, at the row's own charge where the rows have no common budget."""

from __future__ import annotations

from harness.analysis.names import target_name
from harness.analysis.pairs import families
from harness.analysis.reference import at_own_charge, comparisons
from harness.analysis.study import Study
from harness.analysis.verdict import margin_of
from reports import lines
from reports.formats import MISSING, probability
from reports.layout import Table
from reports.pairs import CORRECTED, cells, noted
from reports.tables import LEFT_OUT


def table(study: Study, benchmark: str) -> Table | None:
    """Compare every row with random search on the same world seeds; None if random search did not run."""
    baseline = study.reference(benchmark)
    compared = comparisons(study, benchmark)
    rows = next(iter(compared.values())).rows if compared else []
    if baseline is None or not rows:
        return None
    bounded = any(margin_of(benchmark, target) is not None for target in compared)
    stated = []
    for row in (row for family in families(rows) for row in family):
        for target, comparison in compared.items():
            margin, pair = margin_of(benchmark, target), comparison.pairs.get(row)
            beyond = MISSING if margin is None or pair is None else "yes" if abs(pair.difference) > margin else "no"
            difference, corrected = cells(comparison, row)
            line = {"method": study.label(row), "target": target_name(target), "pairs": str(pair.n if pair else 0)}
            line |= {"difference [95 %]": difference, "p": probability(pair.p) if pair else MISSING, "p (Holm)": corrected}
            stated.append(line | ({"beyond δ": beyond} if bounded else {}))
    caption = (
        f"Each row against {study.label(baseline)} on the same world seeds: mean difference of test accuracy in points with "
        f"its 95 % interval; Wilcoxon’s signed-rank test (exact up to 50 pairs), {CORRECTED}."
    )
    if at_own_charge(study, benchmark):
        caption += (
            f" Rows of weight sharing ran their own schedules: they are compared with the proposal of {study.label(baseline)} "
            "in force once it had been charged as many seconds as the row in the same world." + LEFT_OUT
        )
    if bounded:
        caption += " beyond δ: whether the mean difference is larger than the margin"
        caption += ", which matters where many seeds make every difference significant."
    caption += noted((target_name(target), comparison) for target, comparison in compared.items())
    return lines.table(caption, stated, ruled=True)
