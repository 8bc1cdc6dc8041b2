"""The results of a benchmark without published numbers: rows by mean test accuracy, in groups by kind of method."""

from __future__ import annotations

from math import isfinite, nan

import numpy as np

from harness.analysis import reference
from harness.analysis.evidence import WEIGHT_SHARING
from harness.analysis.names import short_name, target_name
from harness.analysis.pairs import LEVEL, Comparison, compare
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.traces import Log
from reports import coverage, supernets, tables
from reports.formats import number
from reports.layout import Bold, Column, Table
from reports.pairs import powerless
from reports.tables import AT_CHARGE

GROUPS = {WEIGHT_SHARING: "weight sharing"}
"""Name of the group of a kind of method; other groups have the name of their kind."""
FLOOR = "floor: charged nothing, not ranked"
UNDECIDED = "n/a"
"""Mark of a row that has too few pairs for a significant difference."""


def results(study: Study, benchmark: str) -> Table:
    """Return test accuracy per row and target: the best in bold, and marks of significant differences."""
    against, stopped = reference.comparisons(study, benchmark), reference.at_own_charge(study, benchmark)
    best = _against_best(study, benchmark) if study.common_budget(benchmark) else {}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for target in study.targets(benchmark):
        name = short_name(target)
        columns[name, "test"] = _means(study, benchmark, target)
        medians = {row: median(study, benchmark, row, target) for row in study.rows(benchmark)}
        columns[name, "median"] = medians if any(medians.values()) else {}
        columns[name, "vs random search"] = _marks(against[target])
        columns[name, "vs best"] = _marks(best[target]) if target in best else {}
        columns[name, AT_CHARGE] = {row: tables.at_charge(study, benchmark, row, target) for row in stopped}
    columns["", "charged s"] = {row: tables.charge(study, benchmark, row) for row in study.rows(benchmark)}
    if study.common_budget(benchmark):
        columns["", "trained epochs"], columns["", "schedule's epochs"] = _epochs(study, benchmark)
    columns = {key: cells for key, cells in columns.items() if cells}
    table = Table("", [Column("method", right=False), Column("seeds"), *(Column(name, group) for group, name in columns)])
    members_of = groups(study, benchmark)
    for name, members in members_of.items():
        for row in members:
            cells = [cells.get(row, "") for cells in columns.values()]
            rule = name if row == members[0] and len(members_of) > 1 else False
            table.add([supernets.marked(study, benchmark, row), tables.seeds(study, benchmark, row), *cells], rule)
    tables.add_optimum(table, study, benchmark, "test")
    table.caption = "Test accuracy in percent, mean ± standard deviation; the best mean is bold."
    marked = {name for _, name in columns} & {"vs random search", "vs best"}
    than = "random search, or than the best row" if len(marked) > 1 else "random search"
    if marked:
        table.caption += f" + or −: significantly better or worse than {than}; {UNDECIDED}: too few seeds to show a difference."
    if "vs random search" not in marked:
        remarks = (powerless(comparison, target_name(target)) for target, comparison in against.items())
        table.caption += "".join(f" Note: {remark}." for remark in remarks if remark)
    return table


def groups(study: Study, benchmark: str) -> dict[str, list[str]]:
    """Return the rows by group, each group by falling mean on the first target."""
    members: dict[str, list[str]] = {}
    for row in sorted(study.rows(benchmark), key=lambda row: study.free(benchmark, row)):
        kind = study.kind(benchmark, row)
        members.setdefault(FLOOR if study.free(benchmark, row) else GROUPS.get(kind, kind), []).append(row)
    first = study.targets(benchmark)[:1]
    means = {row: _mean(study, benchmark, row, target) for row in study.rows(benchmark) for target in first}
    return {name: sorted(rows, key=lambda row: -np.nan_to_num(means.get(row, nan), nan=-1.0)) for name, rows in members.items()}


def _mean(study: Study, benchmark: str, row: str, target: str) -> float:
    return mean_std(study.test(benchmark, row, target))[0]


def leaders(study: Study, benchmark: str, target: str) -> list[str]:
    """Return the rows with the best printed mean, by falling mean; rows that are charged nothing do not compete."""
    means = {row: _mean(study, benchmark, row, target) for row in study.rows(benchmark) if not study.free(benchmark, row)}
    best = number(max((mean for mean in means.values() if isfinite(mean)), default=nan))
    return sorted((row for row, mean in means.items() if isfinite(mean) and number(mean) == best), key=lambda row: -means[row])


def _means(study: Study, benchmark: str, target: str) -> dict[str, str]:
    texts = {row: coverage.final(study, benchmark, row, target) for row in study.rows(benchmark)}
    return texts | {row: Bold(texts[row]) for row in leaders(study, benchmark, target)}


def median(study: Study, benchmark: str, row: str, target: str) -> str:
    """Return the median and the number of runs at chance, of a row whose mean alone would mislead; empty for other rows."""
    if not study.skewed(benchmark, row, target):
        return ""
    dead = study.guessing(benchmark, row, target)
    middle = float(np.median(study.test(benchmark, row, target)))
    return number(middle) + (f" ({dead} at chance)" if dead else "")


def _against_best(study: Study, benchmark: str) -> dict[str, Comparison]:
    """Return by target the other rows compared with the best row."""
    by_target = {}
    for target in study.targets(benchmark):
        tests = {row: study.by_world(benchmark, row, target) for row in study.rows(benchmark)}
        first = leaders(study, benchmark, target)
        others = {row: test for row, test in tests.items() if row not in first and not study.free(benchmark, row)}
        if first:
            by_target[target] = compare(others, tests[first[0]])
    return by_target


def _marks(comparison: Comparison) -> dict[str, str]:
    """Return by row + or − for a significant difference, n/a if none could be; nothing if no row could have one."""
    if not comparison.decisive:
        return {}
    signs = {row: "+" if pair.difference > 0 else "−" for row, pair in comparison.pairs.items()}
    marks = {row: sign if comparison.corrected[row] < LEVEL else "" for row, sign in signs.items()}
    return marks | dict.fromkeys(comparison.undecided, UNDECIDED)


def _epochs(study: Study, benchmark: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return by row of weight sharing the mean number of epochs that its searches trained, and that of the row's schedule."""
    took, own = {}, {}
    for row in study.shared_weights(benchmark):
        logs = [search.log for search in study.evidence.traces.of(benchmark, row).logging()]
        counts = [float(np.nanmax(log[Log.TRAINED_EPOCHS])) for log in logs if Log.TRAINED_EPOCHS in log]
        if counts:
            took[row] = number(float(np.mean(counts)), 1)
            own[row] = str(study.settings(benchmark, row).get("epochs", ""))
    return took, own
