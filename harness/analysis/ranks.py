"""Rows over several benchmarks: ranks within the seed, how often a row is better, how near it comes to the best.

Rows are compared where they ran under the same rules. Nothing is imputed or trimmed: a search that failed proposed nothing,
which is the last place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
import pandas as pd

from harness.analysis.anytime import longest, several_budgets
from harness.analysis.evidence import DONE, WEIGHT_SHARING, Run
from harness.analysis.statistics import Interval, equal_weights, share_interval
from harness.analysis.study import Study
from harness.analysis.traces import Traces

COLUMNS = (Run.PROTOCOL, Run.BENCHMARK, Run.ROW, Run.LABEL, Run.KIND, Run.WORLD, Run.STATUS, Run.TARGET, Run.TEST, Run.REGRET)
"""Columns of runs that are read here, apart from the costs."""
COSTS = (Run.QUERIES, Run.SECONDS, Run.EPOCHS)
ONE_BUDGET, OWN_SCHEDULES = "under one budget", "weight sharing by own schedules"
MeanRanks = dict[str, tuple[float, Interval | None]]
"""By row, its mean rank and the 95 % interval."""


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


def mean_ranks_of(tables: Sequence[pd.DataFrame]) -> MeanRanks:
    """Return the mean rank with its interval of each row that has ranks in every table: equal weights."""
    rows = dict.fromkeys(row for table in tables for row in table)
    samples = {str(row): [table[row].to_numpy() for table in tables if row in table and len(table)] for row in rows}
    return {row: equal_weights(values) for row, values in samples.items() if len(values) == len(tables)}


def mean_ranks(members: Sequence[Contest]) -> MeanRanks:
    """Return the mean rank over some contests of each row that is in all of them."""
    return mean_ranks_of([ranks(contest.targets) for contest in members])


def better(tables: Mapping[str, pd.DataFrame], row: str, other: str) -> np.ndarray:
    """Return by world how far ``row`` is better than ``other``: 1 if it is, ½ for a tie, 0; the mean over targets."""
    pairs = [table[[row, other]].dropna().round(9) for table in tables.values() if {row, other} <= set(table)]
    wins = [(pair[row] > pair[other]) + 0.5 * (pair[row] == pair[other]) for pair in pairs]
    return pd.concat(wins).groupby(level=0).mean().to_numpy() if wins else np.empty(0)


def improvement(members: Sequence[Contest], row: str, other: str) -> tuple[float, Interval | None]:
    """Return the paired probability that a row is better than another, with its interval: equal weights; NaN without pairs."""
    samples = [wins for contest in members if (wins := better(contest.targets, row, other)).size]
    if row == other or not samples:
        return nan, None
    share = float(np.mean([wins.mean() for wins in samples]))
    return share, share_interval(share, len(samples) ** 2 / sum(1 / wins.size for wins in samples))


def within(members: Sequence[Contest], row: str, percent: float) -> float:
    """Return the share of all runs of a row, failed ones too, that come within some percent of the best: equal weights."""
    shares = []
    for contest in members:
        lines = contest.runs[contest.runs[Run.ROW] == row]
        gap = 100 * lines[Run.REGRET] / (lines[Run.TEST] + lines[Run.REGRET])
        if gap.notna().any():
            shares.append(float((gap.where(lines[Run.STATUS] == DONE) <= percent + 1e-9).mean()))
    return float(np.mean(shares)) if shares else nan


def one_budget(study: Study) -> list[str]:
    """Return the benchmarks on which all kinds of method have the same limit."""
    return [benchmark for benchmark in study.benchmarks if study.common_budget(benchmark)]


def by_budget(study: Study, traces: Traces, benchmark: str) -> dict[str, MeanRanks]:
    """Return the mean ranks by budget, in words, of the rows that searched under every budget; empty if there is only one.

    A row without a schedule has the proposal that its longest searches had at that budget.
    """
    fitted = several_budgets(study, benchmark)
    plain = [row for row in study.rows(benchmark) if row not in {*fitted[Run.ROW]} and not study.free(benchmark, row)]
    tests: dict[float, dict[str, pd.DataFrame]] = {}
    for key, group in fitted.groupby(["limit", Run.TARGET]):
        limit, target = float(str(key[0])), str(key[1])
        columns = {str(row): lines.set_index(Run.WORLD)[Run.TEST] for row, lines in group.groupby(Run.ROW)}
        for row in plain:
            searches = longest(study, traces, benchmark, row, several=True).proposing(target)
            if len(searches):
                columns[row] = searches.at(target, searches.seconds, dict.fromkeys(searches.worlds.tolist(), limit))
        tests.setdefault(limit, {})[target] = pd.DataFrame(columns)
    tables = [table for by_target in tests.values() for table in by_target.values()]
    rows = [row for row in study.rows(benchmark) if all(row in table for table in tables)]
    seeds = set.intersection(*({*table[rows].dropna().index} for table in tables)) if tables and rows else set()
    second = next((part.training_seconds for part in study.parts(benchmark) if part.training_seconds > 0), 1.0)
    unit = "seconds" if second == 1 else "mean trainings"
    ranked = {
        f"{limit / second:.4g} {unit}": ranks({name: table.loc[sorted(seeds), rows] for name, table in by_target.items()})
        for limit, by_target in sorted(tests.items())
    }
    return {name: mean_ranks_of([table]) for name, table in ranked.items()} if seeds and len(rows) > 1 else {}
