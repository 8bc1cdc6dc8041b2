"""Weight sharing epoch by epoch: accuracy of the proposed cell and entropy of the weights, compared with a base method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from reports.figures import Drawing, Lines, Panel, bands, panel_title, render
from reports.formats import MISSING, number, spread, with_interval
from reports.layout import Block, Paragraph, Table
from reports.lines import tabled
from reports.pairs import correct, noted
from reports.statistics import Paired, mean_std, paired
from reports.study import APART, Study
from reports.traces import Columns, Log, Search, Traces


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


def accuracy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test accuracy of the cell proposed at each epoch (GAEA, figures 4 and 5)."""
    panels = []
    for benchmark in study.benchmarks:
        for target in study.targets(benchmark):
            by_row = curves(traces, benchmark, study.rows(benchmark), partial(proposed, target=target))
            for base, rows in families(study, benchmark).items():
                drawn = lines({row: by_row[row] for row in rows if row in by_row})
                tests = (np.array([*points]) for _, points in drawn.values())
                robust = any(np.abs(np.median(runs, 1) - runs.mean(1)).max(initial=0) > APART for runs in tests)
                middle = "median" if robust else "mean"
                title = f"{panel_title(study, benchmark, target)}: {study.label(base)}"
                if len(drawn) > 1:
                    panels.append(Panel(title, "epoch", f"{middle} test accuracy (%)", bands(drawn, robust, 100.0)))
    text = "Test accuracy of the cell that a search proposed after each epoch; each method with the method that it changes."
    return Drawing(render(study, panels), text) if panels else None


def entropy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the entropy of the architecture weights at each epoch (GAEA, figure 1)."""
    panels = []
    for benchmark in study.benchmarks:
        for base, rows in families(study, benchmark).items():
            drawn = lines(_entropies(traces, benchmark, rows))
            title = f"{benchmark}: {study.label(base)}" if len(study.benchmarks) > 1 else study.label(base)
            if len(drawn) > 1:
                panels.append(Panel(title, "epoch", "entropy / ln |O|", bands(drawn, False, 1.0)))
    text = "Entropy of the weights on operations after each epoch: 1 where all weigh the same, 0 where one has everything."
    return Drawing(render(study, panels), text) if panels else None


def curves(traces: Traces, benchmark: str, rows: Iterable[str], of: Callable[[Search], pd.Series]) -> dict[str, pd.DataFrame]:
    """Return by row a table (epochs, runs) of what ``of`` returns by epoch; rows without it are left out."""
    tables = {}
    for row in rows:
        by_world = {search.world: of(search) for search in traces.of(benchmark, row).logging()}
        known = {world: curve for world, curve in by_world.items() if len(curve)}
        if known:
            tables[row] = pd.DataFrame(known).loc[: min(curve.index[-1] for curve in known.values())]
    return tables


def lines(tables: dict[str, pd.DataFrame]) -> Lines:
    """Return the lines of tables (epochs, runs), over the epochs of all runs. A table without such an epoch has no line."""
    known = {row: table.dropna() for row, table in tables.items() if not table.dropna().empty}
    return {row: (table.index.to_numpy(), table.to_numpy(dtype=float)) for row, table in known.items()}


def logged(log: Columns, name: str) -> pd.Series:
    """Return a logged column by epoch."""
    if Log.EPOCH not in log or name not in log:
        return pd.Series(dtype=float)
    values = pd.Series(np.asarray(log[name], dtype=float), np.asarray(log[Log.EPOCH], dtype=float)).dropna()
    return values.loc[lambda series: series.index > 0]


def _entropies(traces: Traces, benchmark: str, rows: Iterable[str]) -> dict[str, pd.DataFrame]:
    tables = curves(traces, benchmark, rows, lambda search: logged(search.log, Log.ENTROPY))
    return {row: table.dropna() for row, table in tables.items()}


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


def older(study: Study, benchmark: str) -> list[Block]:
    """Return a note about the searches that had no cell at their end, so that the proposal of an earlier epoch stays."""
    notes = []
    for row in study.rows(benchmark):
        flags = [logged(search.log, Log.PROPOSED) for search in study.evidence.traces.of(benchmark, row).logging()]
        stale = [flag for flag in flags if (flag > 0).any() and not flag.iloc[-1]]
        if stale:
            epochs = sorted({int(flag[flag > 0].index.max()) for flag in stale})
            ends = sorted({int(flag.index.max()) for flag in stale})
            of = f"{', '.join(map(str, epochs))} of {', '.join(map(str, ends))}"
            notes.append(f"in {len(stale)} of {len(flags)} searches of {study.label(row)} the proposal is of epoch {of}")
    return [Paragraph(f"Older proposals: {'; '.join(notes)}. At its end such a search had no cell.")] if notes else []


def discretised(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the supernet's accuracy before and after discretisation; None if no search logged both."""
    rows = []
    for row in study.rows(benchmark):
        logs = {search.world: search.log for search in traces.of(benchmark, row).logging()}
        sides = {"before": Log.SUPERNET_ACCURACY, "after": Log.DISCRETISED_ACCURACY}
        ends = pd.DataFrame({side: {world: last(log, name) for world, log in logs.items()} for side, name in sides.items()})
        ends = ends.dropna().astype(float)
        if pair := paired(ends["after"], ends["before"]):
            means = {side: spread(*mean_std(ends[side].to_numpy())) for side in sides}
            difference = with_interval(pair.difference, pair.interval, sign=True)
            rows.append({"method": study.label(row), "runs": str(pair.n), **means, "after − before [95 %]": difference})
    return tabled("Validation accuracy, in percent, of the supernet after the last epoch.", rows)


def entropies(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the fall of the entropy with the base method's; None if no pair ran."""
    pairs: dict[str, Paired | None] = {}
    rows = []
    for base, members in families(study, benchmark).items():
        tables = _entropies(traces, benchmark, members)
        for row in members[1:]:
            line = {"method": study.label(row), "base": study.label(base), "runs": "0"}
            rows.append((row, line))
            if base not in tables or row not in tables:
                pairs[row] = None
                continue
            epochs = min(len(tables[base]), len(tables[row]))
            ours, theirs = (tables[name].iloc[:epochs].mean() for name in (row, base))
            pair = pairs[row] = paired(ours, theirs)
            line |= {"runs": str(pair.n if pair else 0), "epochs": str(epochs)}
            line |= {"entropy": number(ours.mean(), 3), "base's": number(theirs.mean(), 3)}
            line["difference [95 %]"] = with_interval(pair.difference, pair.interval, 3, sign=True) if pair else MISSING
            line["p (Holm)"] = MISSING  # the place of the column; it is corrected over all rows
            low, high = (pair and pair.interval) or (-1.0, 1.0)
            line["falls faster"] = "yes" if high < 0 else "no" if low > 0 else "open"
            line["at its end"] = number(float(tables[row].iloc[-1].mean()), 3)
    comparison = correct(pairs, "the entropy")
    for row, line in rows:
        line["p (Holm)"] = comparison.cells(row)[1]
    caption = "Entropy of the weights on operations, mean over the epochs that a method and its base both have."
    return tabled(caption + noted(comparison.remarks), [line for _, line in rows])
