"""One view over all benchmarks: ranks within the seed, how often a row is better, how near it comes to the best.

Rows are compared where they ran under the same rules. Nothing is imputed or trimmed: a row without runs on a benchmark is
named as missing there, and a search that failed proposed nothing, which is the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from harness.analysis.evidence import DONE, WEIGHT_SHARING, Run
from harness.analysis.statistics import equal_weights, share_interval
from harness.analysis.study import Study
from reports.formats import MISSING, number, with_interval
from reports.layout import Block, Bullets, Column, Heading, Table

COLUMNS = (Run.PROTOCOL, Run.BENCHMARK, Run.ROW, Run.LABEL, Run.KIND, Run.WORLD, Run.STATUS, Run.TARGET, Run.TEST, Run.REGRET)
"""Columns of runs that are read here, apart from the costs."""
COSTS = (Run.QUERIES, Run.SECONDS, Run.EPOCHS)
WITHIN = (0.5, 1.0, 5.0)
"""Distances from the best of the stated set, in percent of its accuracy."""
SPENT = (0.1, 0.3, 1.0)
"""Shares of what a search was charged in all."""
REFERENCE = "random_search"
ONE_BUDGET, OWN_SCHEDULES = "under one budget", "weight sharing by own schedules"

Reached = Callable[[str, str, str, float], pd.Series]
"""Return by world the test accuracy in force after a share of the charge, of a benchmark, row and target."""


@dataclass(frozen=True)
class Contest:
    """The rows that searched one benchmark under the same rules."""

    benchmark: str
    runs: pd.DataFrame
    """One line per run and target, failed runs included; rows without any test accuracy and rows that cost nothing excluded."""

    @cached_property
    def targets(self) -> dict[str, pd.DataFrame]:
        """Return by target the test accuracies (worlds, rows): −∞ for a failed search, NaN without a run or a record."""
        failed = self.runs[Run.STATUS] != DONE
        lines = self.runs.assign(**{Run.TEST: self.runs[Run.TEST].mask(failed, -np.inf)})
        return {
            str(target): of_target.pivot_table(Run.TEST, Run.WORLD, Run.ROW).reindex(columns=self.rows)
            for target, of_target in lines.groupby(Run.TARGET, sort=False)
        }

    @property
    def rows(self) -> list[str]:
        """Return the rows, in the order of the runs."""
        return [str(row) for row in self.runs[Run.ROW].unique()]

    def only(self, rows: Iterable[str]) -> Contest:
        """Return the contest of these rows alone."""
        return Contest(self.benchmark, self.runs[self.runs[Run.ROW].isin(list(rows))])


def contests(runs: pd.DataFrame, one_budget: Mapping[str, Iterable[str]]) -> dict[str, list[Contest]]:
    """Return by group of comparable rows their contests, for groups with at least two rows on at least two benchmarks.

    The rows are those that ran on at least two of the benchmarks.

    Args:
        one_budget: by protocol, the benchmarks on which all kinds of method have the same limit. They are one group; else
            each kind of method is a group.
    """
    groups: dict[str, list[Contest]] = {}
    protocols = runs.groupby(Run.BENCHMARK)[Run.PROTOCOL].nunique()
    charged = runs[runs[list(COSTS)].fillna(0).sum(axis=1) > 0]
    tested = charged.groupby([Run.PROTOCOL, Run.BENCHMARK, Run.ROW])[Run.TEST].transform("count") > 0
    for key, lines in charged[tested].groupby([Run.PROTOCOL, Run.BENCHMARK], sort=False):
        protocol, benchmark = map(str, key)
        together = benchmark in one_budget.get(protocol, ())
        name = benchmark if protocols[benchmark] == 1 else f"{benchmark} ({protocol})"
        for kind, of_kind in [("", lines)] if together else lines.groupby(Run.KIND, sort=False):
            group = ONE_BUDGET if together else OWN_SCHEDULES if kind == WEIGHT_SHARING else str(kind)
            groups.setdefault(group, []).append(Contest(name, of_kind))
    chosen = {}
    for group, members in groups.items():
        counts = pd.Series([row for contest in members for row in contest.rows]).value_counts()
        common = [contest.only(counts.index[counts > 1]) for contest in members]
        if len(shared := [contest for contest in common if len(contest.rows) > 1]) > 1:
            chosen[group] = shared
    return chosen


def ranks(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the ranks (worlds, rows), 1 for the best, ties at their mean rank, the mean over targets: one search, one rank.

    Only worlds in which every row has an accuracy.
    """
    complete = [table.dropna().round(9).rank(axis=1, ascending=False) for table in tables.values()]
    return pd.concat(complete).groupby(level=0).mean()


def better(tables: Mapping[str, pd.DataFrame], row: str, other: str) -> np.ndarray:
    """Return by world how far ``row`` is better than ``other``: 1 if it is, ½ for a tie, 0; the mean over targets."""
    pairs = [table[[row, other]].dropna().round(9) for table in tables.values() if {row, other} <= set(table)]
    wins = [(pair[row] > pair[other]) + 0.5 * (pair[row] == pair[other]) for pair in pairs]
    return pd.concat(wins).groupby(level=0).mean().to_numpy() if wins else np.empty(0)


def improvement(members: Sequence[Contest], row: str, other: str) -> str:
    """Return the paired probability that a row is better than another in percent: each benchmark with the same weight."""
    samples = [wins for contest in members if (wins := better(contest.targets, row, other)).size]
    if row == other or not samples:
        return MISSING
    share = float(np.mean([wins.mean() for wins in samples]))
    interval = share_interval(share, len(samples) ** 2 / sum(1 / wins.size for wins in samples))
    return with_interval(100 * share, interval and type(interval)(100 * interval.low, 100 * interval.high), 0)


def within(members: Sequence[Contest], row: str, percent: float) -> str:
    """Return the share of all runs of a row, failed ones too, that come within some percent of the best: equal weights."""
    shares = []
    for contest in members:
        lines = contest.runs[contest.runs[Run.ROW] == row]
        gap = 100 * lines[Run.REGRET] / (lines[Run.TEST] + lines[Run.REGRET])
        if gap.notna().any():
            shares.append(float((gap.where(lines[Run.STATUS] == DONE) <= percent + 1e-9).mean()))
    return number(100 * float(np.mean(shares)), 0) if shares else MISSING


def of_study(study: Study) -> list[Block]:
    """Return the tables over the benchmarks of one protocol, with ranks before the end of the searches."""

    def reached(benchmark: str, row: str, target: str, share: float) -> pd.Series:
        searches = study.evidence.traces.of(benchmark, row)
        ends = zip(searches.worlds.tolist(), searches.end.tolist(), strict=True)
        return searches.at(target, searches.seconds, {world: share * end for world, end in ends})

    return blocks(study.runs, {study.page.protocol: one_budget(study)}, study.label, reached)


def one_budget(study: Study) -> list[str]:
    """Return the benchmarks on which all kinds of method have the same limit."""
    return [benchmark for benchmark in study.benchmarks if study.common_budget(benchmark)]


def blocks(
    runs: pd.DataFrame,
    one_budget: Mapping[str, Iterable[str]],
    label: Callable[[str], str] = str,
    reached: Reached | None = None,
) -> list[Block]:
    """Return a table per group of comparable rows; no block if fewer than two benchmarks have rows in common.

    Args:
        runs: one line per run and target.
        one_budget: see :func:`contests`.
        label: the name of a row in the table.
        reached: accuracies before the end of a search; without it, no ranks before the end.
    """
    shown: list[Block] = []
    for group, members in contests(runs, one_budget).items():
        early = None if group == OWN_SCHEDULES else reached  # a schedule has no results before its end
        shown += [Heading(f"Over all benchmarks, {group}"), _table(members, label, early), *_notes(members, label)]
    return shown


def _table(members: Sequence[Contest], label: Callable[[str], str], reached: Reached | None) -> Table:
    by_benchmark = {contest.benchmark: ranks(contest.targets) for contest in members}
    rows = dict.fromkeys(row for contest in members for row in contest.rows)
    samples = {row: [table[row].to_numpy() for table in by_benchmark.values() if row in table and len(table)] for row in rows}
    everywhere = {row: equal_weights(values) for row, values in samples.items() if len(values) == len(members)}
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
        cells += [improvement(members, row, other) for other in (reference, order[0]) if other]
        cells += [_mean_rank(ranked, row) for ranked in by_benchmark.values()]
        cells += [within(members, row, percent) for percent in WITHIN]
        table.add(cells + [number(ranked.get(row)) for _, ranked in early])
    table.caption = (
        "Rank by test accuracy within the seed, 1 is the best, among the rows that ran on at least two of these benchmarks; "
        "every benchmark has the same weight, several data sets of one search count as one. A search that failed, or "
        "has proposed nothing yet, is last. Interval: Student t over seeds. "
        "Beats: share of seeds in percent, a tie is half, with Wilson’s interval. "
        "Within: share of all runs, failed ones too, whose test accuracy is at most that many percent below the best."
    )
    return table


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
