"""One view over all benchmarks: ranks within the seed, how often a row is better, how near it comes to the best.

Rows are compared where they ran under the same rules. Nothing is imputed or trimmed: a row without runs on a benchmark is
named as missing there, and a search that failed proposed nothing, which is the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from harness.analysis.evidence import Run
from harness.analysis.ranks import OWN_SCHEDULES, Contest, contests, improvement, mean_ranks_of, one_budget, ranks, within
from harness.analysis.statistics import Interval
from harness.analysis.study import Study
from reports.formats import MISSING, number, with_interval
from reports.layout import Block, Bullets, Column, Heading, Table

WITHIN = (0.5, 1.0, 5.0)
"""Distances from the best of the stated set, in percent of its accuracy."""
SPENT = (0.1, 0.3, 1.0)
"""Shares of what a search was charged in all."""
REFERENCE = "random_search"

Reached = Callable[[str, str, str, float], pd.Series]
"""Return by world the test accuracy in force after a share of the charge, of a benchmark, row and target."""


def of_study(study: Study) -> list[Block]:
    """Return the tables over the benchmarks of one protocol, with ranks before the end of the searches."""

    def reached(benchmark: str, row: str, target: str, share: float) -> pd.Series:
        searches = study.evidence.traces.of(benchmark, row)
        ends = zip(searches.worlds.tolist(), searches.end.tolist(), strict=True)
        return searches.at(target, searches.seconds, {world: share * end for world, end in ends})

    return blocks(study.runs, {study.page.protocol: one_budget(study)}, study.label, reached)


def blocks(
    runs: pd.DataFrame,
    budgets: Mapping[str, Iterable[str]],
    label: Callable[[str], str] = str,
    reached: Reached | None = None,
) -> list[Block]:
    """Return a table per group of comparable rows; no block if fewer than two benchmarks have rows in common.

    Args:
        runs: one line per run and target.
        budgets: by protocol, the benchmarks under one budget, see :func:`harness.analysis.ranks.contests`.
        label: the name of a row in the table.
        reached: accuracies before the end of a search; without it, no ranks before the end.
    """
    shown: list[Block] = []
    for group, members in contests(runs, budgets).items():
        early = None if group == OWN_SCHEDULES else reached  # a schedule has no results before its end
        shown += [Heading(f"Over all benchmarks, {group}"), _table(members, label, early), *_notes(members, label)]
    return shown


def _table(members: Sequence[Contest], label: Callable[[str], str], reached: Reached | None) -> Table:
    by_benchmark = {contest.benchmark: ranks(contest.targets) for contest in members}
    rows = dict.fromkeys(row for contest in members for row in contest.rows)
    everywhere = mean_ranks_of([*by_benchmark.values()])
    order = sorted(rows, key=lambda row: everywhere[row][0] if row in everywhere else np.inf)
    reference = next((row for row in order if row.rpartition(":")[2] == REFERENCE), "")
    early = [(share, _early(members, reached, share)) for share in SPENT[:-1]] if reached else []
    columns = [Column("method", right=False), Column("mean rank [95 %]")]
    columns += [Column("beats random search [95 %]")] * bool(reference) + [Column("beats the first [95 %]")]
    columns += [Column(name, "mean rank on") for name in by_benchmark]
    columns += [Column(f"{percent:g} %", "% of runs within, of the best") for percent in WITHIN]
    columns += [Column(f"{share:.0%}".replace("%", " %"), "mean rank after, of the charge") for share, _ in early]
    table = Table("", columns)
    for row in order:
        cells = [label(row), with_interval(*everywhere[row]) if row in everywhere else MISSING]
        cells += [_better(members, row, other) for other in (reference, order[0]) if other]
        cells += [_mean_rank(ranked, row) for ranked in by_benchmark.values()]
        cells += [number(100 * within(members, row, percent), 0) for percent in WITHIN]
        table.add(cells + [number(ranked.get(row)) for _, ranked in early])
    table.caption = (
        "Rank by test accuracy within the seed, 1 is the best, among the rows that ran on at least two of these benchmarks; "
        "every benchmark has the same weight, several data sets of one search count as one. A search that failed, or "
        "has proposed nothing yet, is last. Interval: Student t over seeds. "
        "Beats: share of seeds in percent, a tie is half, with Wilson’s interval. "
        "Within: share of all runs, failed ones too, whose test accuracy is at most that many percent below the best."
    )
    return table


def _better(members: Sequence[Contest], row: str, other: str) -> str:
    share, interval = improvement(members, row, other)
    return with_interval(100 * share, interval and Interval(100 * interval.low, 100 * interval.high), 0)


def _mean_rank(ranked: pd.DataFrame, row: str) -> str:
    if row not in ranked:
        return "missing"
    return f"{number(float(ranked[row].mean()))} of {ranked.shape[1]}" if len(ranked) else MISSING


def _early(members: Sequence[Contest], reached: Reached, share: float) -> dict[str, float]:
    """Return the mean rank of each row that is in every contest, by the proposals in force after a share of the charge."""
    means = []
    for contest in members:
        tables = {}
        for target, ended in contest.targets.items():
            then = pd.DataFrame({row: reached(contest.benchmark, row, target, share) for row in contest.rows}, ended.index)
            tables[target] = then.fillna(-np.inf).where(ended.notna())  # nothing was proposed yet
        means.append(ranks(tables).mean())
    table = pd.concat(means, axis=1)
    return {str(row): float(mean) for row, mean in table.mean(axis=1, skipna=False).items()}


def _notes(members: Sequence[Contest], label: Callable[[str], str]) -> list[Block]:
    """Name the rows that are missing on a benchmark, and the seeds that do not count in its ranks."""
    items = []
    every = dict.fromkeys(row for contest in members for row in contest.rows)
    for contest in members:
        absent = [label(row) for row in every if row not in contest.rows]
        ranked, seeds = ranks(contest.targets), contest.runs[Run.WORLD].nunique()
        lacking = [row for row in contest.rows if any(table[row].isna().any() for table in contest.targets.values())]
        text = f"{len(ranked)} of {seeds} seeds are ranked"
        text += f"; not every seed has a result of {', '.join(map(label, lacking))}" if lacking else ""
        items.append((contest.benchmark, text + (f"; missing here: {', '.join(absent)}" if absent else "")))
    return [Bullets(items)]
