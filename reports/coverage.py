"""Regret at every epoch for tables that lack some cells, and the errors that regret may be counted from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.analysis import coverage as analysis
from harness.analysis.evidence import Run
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports.axes import logarithmic
from reports.figures import Drawing, Panel, band, groups, panel_title, render
from reports.formats import number, spread
from reports.layout import Table
from reports.lines import tabled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test regret of the cell proposed at each epoch (GAEA, figure 2); None if no benchmark states references."""
    panels = []
    for benchmark, target, span in analysis.partly_recorded(study):
        tables = analysis.regrets(study, traces, benchmark, target)
        title = panel_title(study, benchmark, target)
        for name, rows in groups(study, benchmark):
            drawn = {row: tables[row] for row in rows if row in tables}
            middle, robust = study.middle(benchmark, drawn, target)
            if drawn:
                y = f"{middle} test regret (points)"
                panels.append(Panel(title + name, "epoch", y, partial(_draw, drawn, span, robust), title))
    text = "Test regret of the cell that a search proposed after each epoch. Pale: bounds where the table lacks cells."
    return Drawing(render(study, panels), text) if panels else None


def _draw(
    tables: Mapping[str, pd.DataFrame], span: float, robust: bool, panel: Axes, looks: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    handles = {}
    for row, table in tables.items():
        values, epochs = table.to_numpy(dtype=float), table.index.to_numpy()
        handles[row] = band(panel, epochs, values, robust, looks[row])
        complete = ~np.isnan(values).any(axis=1)
        if not complete.all():
            low, high = np.array([analysis.bounds(regrets, span) for regrets in values]).T
            # a bound extends to the neighbouring epochs, so that a single epoch is visible
            partly = ~complete | np.r_[~complete[1:], False] | np.r_[False, ~complete[:-1]]
            panel.fill_between(epochs, low, high, where=partly, color=looks[row]["color"], alpha=0.07, linewidth=0)
    if not logarithmic(panel, 10.0):
        panel.set_ylim(bottom=0)
    return handles


def covered(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Count the runs whose proposal is in the table, by epoch; None if no method proposes at every epoch."""
    lines = []
    for name, target, span in analysis.partly_recorded(study):
        for row, table in analysis.regrets(study, traces, benchmark, target).items() if name == benchmark else ():
            counts = table.notna().sum(axis=1)
            for _, stretch in counts.groupby(counts.ne(counts.shift()).cumsum()):
                first, last, count = stretch.index[0], stretch.index[-1], int(stretch.iloc[0])
                values = table.loc[last].to_numpy(dtype=float)
                complete = count == table.shape[1]
                line = {"method": study.label(row), "target": target, "epochs": f"{first:g}–{last:g}"}
                line["in the table"] = f"{count}/{table.shape[1]}"
                line["test regret"] = spread(*mean_std(values)) if complete else _between(*analysis.bounds(values, span))
                lines.append(line)
    return tabled("Proposals that are in the table, by stretches of epochs; test regret in points at the end.", lines, True)


def references(study: Study, benchmark: str) -> Table | None:
    """Return the errors that regret may be counted from, per split; None if the benchmark states none."""
    lines = [
        {"split": stated.split, "reference": stated.name, "error (%)": number(stated.error, 4)}
        | {"best cell's regret": number(stated.regret)}
        for stated in analysis.references(study, benchmark)
    ]
    return tabled("What regret may be counted from; every regret on this page is against the best mean.", lines)


def final(study: Study, benchmark: str, row: str, target: str) -> str:
    """Return the test accuracy of the last proposals, mean ± std; coverage and bounds of the mean if the table lacks some."""
    tests = study.judged(benchmark, row, target)[Run.TEST].to_numpy(dtype=float)
    known = int(np.isfinite(tests).sum())
    if known == len(tests):
        return spread(*mean_std(tests))
    text = f"{known}/{len(tests)} in the table"
    best, worst = (study.of_target(name, benchmark, target) for name in ("optimum", "worst"))
    if best is None or worst is None:
        return text
    low, high = analysis.bounds(best - tests, best - worst)
    return f"{text}, {_between(best - high, best - low)}"


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"
