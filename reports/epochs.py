"""Weight sharing epoch by epoch: accuracy of the proposed cell and entropy of the weights, compared with a base method."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from harness.analysis import epochs as analysis
from harness.analysis.names import target_name
from harness.analysis.pairs import correct
from harness.analysis.statistics import mean_std, paired
from harness.analysis.study import APART, Study
from harness.analysis.traces import Log, Traces
from reports import sources
from reports.figures import Drawing, Lines, Panel, bands, panel_title, render
from reports.formats import MISSING, number, spread, with_interval
from reports.layout import Block, Cited, Paragraph, Table
from reports.lines import tabled
from reports.pairs import cells, noted

SUPERNET = "supernet_valid_accuracy_pct"
"""Metric of the papers' accuracies of supernets, before the side of the discretisation in brackets."""


def accuracy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test accuracy of the cell proposed at each epoch (GAEA, figures 4 and 5)."""
    panels = []
    for benchmark in study.benchmarks:
        for target in study.targets(benchmark):
            by_row = analysis.curves(study, traces, benchmark, study.rows(benchmark), partial(analysis.proposed, target=target))
            for base, rows in analysis.families(study, benchmark).items():
                drawn = lines({row: by_row[row] for row in rows if row in by_row})
                tests = (np.array([*points]) for _, points in drawn.values())
                robust = any(np.abs(np.median(runs, 1) - runs.mean(1)).max(initial=0) > APART for runs in tests)
                middle = "median" if robust else "mean"
                title = f"{panel_title(study, benchmark, target)}: {study.label(base)}"
                if len(drawn) > 1:
                    time = analysis.time(study, benchmark)
                    panels.append(Panel(title, time, f"{middle} test accuracy (%)", bands(drawn, robust, 100.0)))
    text = "Test accuracy of the cell that a search proposed after each epoch; each method with the method that it changes."
    return Drawing(render(study, panels), text) if panels else None


def entropy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the entropy of the architecture weights at each epoch (GAEA, figure 1)."""
    panels = []
    for benchmark in study.benchmarks:
        for base, rows in analysis.families(study, benchmark).items():
            drawn = lines(analysis.entropies(study, traces, benchmark, rows))
            title = f"{benchmark}: {study.label(base)}" if len(study.benchmarks) > 1 else study.label(base)
            if len(drawn) > 1:
                panels.append(Panel(title, analysis.time(study, benchmark), "entropy / ln |O|", bands(drawn, False, 1.0)))
    text = "Entropy of the weights on operations after each epoch: 1 where all weigh the same, 0 where one has everything."
    return Drawing(render(study, panels), text) if panels else None


def lines(tables: dict[str, pd.DataFrame]) -> Lines:
    """Return the lines of tables (epochs, runs), over the epochs of all runs. A table without such an epoch has no line."""
    known = {row: table.dropna() for row, table in tables.items() if not table.dropna().empty}
    return {row: (table.index.to_numpy(), table.to_numpy(dtype=float)) for row, table in known.items()}


def older(study: Study, benchmark: str) -> list[Block]:
    """Return a note about the searches that had no cell at their end, so that the proposal of an earlier epoch stays."""
    notes = []
    for row in study.rows(benchmark):
        flags = [analysis.logged(search.log, Log.PROPOSED) for search in study.evidence.traces.of(benchmark, row).logging()]
        stale = [flag for flag in flags if (flag > 0).any() and not flag.iloc[-1]]
        if stale:
            epochs = sorted({int(flag[flag > 0].index.max()) for flag in stale})
            ends = sorted({int(flag.index.max()) for flag in stale})
            of = f"{', '.join(map(str, epochs))} of {', '.join(map(str, ends))}"
            notes.append(f"in {len(stale)} of {len(flags)} searches of {study.label(row)} the proposal is of epoch {of}")
    return [Paragraph(f"Older proposals: {'; '.join(notes)}. At its end such a search had no cell.")] if notes else []


def discretised(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the supernet's accuracy before and after discretisation; None if no search logged both."""
    rows, printed = [], _discretised_in_papers(study, benchmark)
    for row in study.rows(benchmark):
        ends = analysis.discretised(traces, benchmark, row)
        if pair := paired(ends["after"], ends["before"]):
            means = {str(side): spread(*mean_std(values.to_numpy())) for side, values in ends.items()}
            difference = with_interval(pair.difference, pair.interval, sign=True)
            rows.append({"method": study.label(row), "runs": str(pair.n), **means, "after − before [95 %]": difference})
            rows[-1] |= {"published": printed.get(row, MISSING)} if printed else {}
    return tabled("Validation accuracy, in percent, of the supernet after the last epoch.", rows)


def _discretised_in_papers(study: Study, benchmark: str) -> dict[str, Cited]:
    """Return by row the papers' accuracies before and after on any data of the space, and why they are not comparable."""
    places = [str(name) for name in study.published["benchmark"].unique()]
    texts = {}
    for place in (place for place in places if place.partition("/")[0] == benchmark.partition("/")[0]):
        before, after = (study.printed_lines(place, f"{SUPERNET}[{side} discretisation]") for side in ("before", "after"))
        for row in before.keys() & after.keys():
            lines = [before[row][0], after[row][0]]
            elsewhere = f"searched on {target_name(lines[0]['target'])}" if place != benchmark else ""
            reason = elsewhere or study.obstacle(benchmark, row)
            origin = sources.source(lines[0]) + f"; not comparable: {reason}" * bool(reason)
            texts[row] = sources.cited(f"{' → '.join(number(line['mean']) for line in lines)} ({origin})", lines)
    return texts


def entropies(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the fall of the entropy with the base method's; None if no pair ran."""
    falls = list(analysis.falls(study, traces, benchmark))
    comparison = correct({fall.row: fall.pair for fall in falls})
    lines = []
    common = "common epochs" if analysis.time(study, benchmark) == "epoch" else "common shares"
    for row, base, pair, places, own, bases, end in falls:
        difference = with_interval(pair.difference, pair.interval, 3, sign=True) if pair else MISSING
        low, high = (pair and pair.interval) or (-1.0, 1.0)
        line = {"method": study.label(row), "base": study.label(base), "runs": str(pair.n if pair else 0)}
        if places:
            line |= {common: str(places), "entropy": number(own, 3), "base's": number(bases, 3)}
            line["difference [95 %]"] = difference
        line["p (Holm)"] = cells(comparison, row)[1]
        if places:
            line |= {"falls faster": "yes" if high < 0 else "no" if low > 0 else "open", "at its end": number(end, 3)}
        lines.append(line)
    time = analysis.time(study, benchmark)
    caption = f"Entropy of the weights on operations, mean over every {time} that a method and its base both have."
    return tabled(caption + noted([("the entropy", comparison)]), lines)
