"""Test regret and test error over the budget of a search, and the comparison of searches that spent the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.analysis.anytime import equal_budgets, longest, several_budgets, without_optimum
from harness.analysis.evidence import Run
from harness.analysis.names import target_name
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports.axes import logarithmic, plain_logarithmic
from reports.figures import Drawing, Lines, Panel, band, bands, groups, panel_title, render, steps
from reports.formats import MISSING, spread
from reports.layout import Table
from reports.lines import tabled
from reports.pairs import columns, noted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUDGETS = {"queries": "solver calls", "seconds": "charged search time (s)"}
"""By currency, the label of its axis."""
DODGE = 1.06
"""Ratio between the places of the dots of neighbouring rows, which would hide each other."""


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the regret over charged seconds, several panels per benchmark and target; None if no target has a known optimum.

    Rows whose schedules were fitted to several budgets have a dot at each budget.
    """
    panels, dotted = [], False
    for benchmark in study.benchmarks:
        fitted = several_budgets(study, benchmark)
        dotted |= bool(len(fitted))
        second = next((part.training_seconds for part in study.parts(benchmark) if part.training_seconds > 0), 1.0)
        unit = second if len(fitted) else 1.0
        x = f"budget (mean trainings of {unit:.3g} s)" if unit != 1 else BUDGETS["seconds"]
        for target, best in study.optima(benchmark).items():
            mine = fitted[fitted[Run.TARGET] == target]
            limits = (mine["limit"] / unit).rename()
            dots = {
                str(row): (best - group.set_axis(limits[group.index])).dropna()
                for row, group in mine.groupby(Run.ROW)[Run.TEST]
            }
            title = panel_title(study, benchmark, target)
            for name, rows in groups(study, benchmark):
                lines: Lines = {}
                levels = {}
                for row in rows:
                    searches = longest(study, traces, benchmark, row, bool(len(fitted))).proposing(target)
                    regrets = best - searches.test.get(target, np.empty(0))
                    if row in dots or not len(searches):
                        continue
                    if study.free(benchmark, row):
                        levels[row] = float(regrets[searches.starts[1:] - 1].mean())
                    else:
                        lines[row] = steps(searches, searches.seconds / unit, regrets, float(searches.end.max()) / unit)
                shown = {row: dots[row] for row in rows if row in dots}
                if {*lines, *levels, *shown} - ({study.reference(benchmark)} if name else set()):
                    middle, robust = study.middle(benchmark, rows, target)
                    draw = partial(_regret, lines, levels, shown, robust)
                    panels.append(Panel(title + name, x, f"{middle} test regret (points)", draw, title))
    text = "Test regret against the best of the stated set over the cost of a search, both logarithmic."
    text += " Dots: searches whose schedules were fitted to the budget at which the dots stand." * dotted
    return Drawing(render(study, panels), text) if panels else None


def _regret(
    lines: Lines,
    levels: Mapping[str, float],
    dots: Mapping[str, pd.Series],
    robust: bool,
    panel: Axes,
    looks: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    handles = bands(lines, robust, drawstyle="steps-post")(panel, looks)
    handles |= {row: panel.axhline(level, **looks[row]) for row, level in levels.items()}
    for number, (row, regrets) in enumerate(dots.items()):
        budgets = regrets.groupby(level=0)
        shift = DODGE ** (number - (len(dots) - 1) / 2)
        places = np.array([limit for limit, _ in budgets]) * shift
        handles[row] = band(panel, places, [group.to_numpy() for _, group in budgets], robust, looks[row], bars=True)
    if lines or dots:
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
    logarithmic(panel)
    return handles


def error(study: Study, traces: Traces) -> Drawing | None:
    """Draw test error against solver calls and against time, for targets without a known optimum."""
    panels = []
    for benchmark, target, by_row in without_optimum(study, traces):
        for name, rows in groups(study, benchmark):
            middle, robust = study.middle(benchmark, rows, target)
            for budget, label in BUDGETS.items():
                lines: Lines = {}
                for row in rows:
                    if row in by_row:
                        times, ends = by_row[row].spent(budget)
                        lines[row] = steps(by_row[row], times, 100 - by_row[row].test[target], float(ends.max()))
                title = panel_title(study, benchmark, target) + name
                if lines:
                    panels.append(Panel(title, label, f"{middle} test error (%)", partial(_error, lines, robust)))
    text = "Test error of the proposal in force over solver calls and over charged seconds, both logarithmic."
    return Drawing(render(study, panels, across=2), text) if panels else None


def _error(lines: Lines, robust: bool, panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    handles = bands(lines, robust, drawstyle="steps-post")(panel, looks)
    panel.set_xscale("log")
    plain_logarithmic(panel.xaxis, *panel.get_xlim())
    middles = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in panel.lines])
    margin = max(0.08 * float(np.ptp(middles)), 0.5)
    panel.set_ylim(max(middles.min() - margin, 0.0), min(middles.max() + margin, 100.0))
    return handles


def equal_budget(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare every row at the budget that random search spent in the same world; None if random search did not run."""
    lines, comparisons = [], []
    for target, budget, accuracies, comparison in equal_budgets(study, traces, benchmark):
        name = target_name(target)
        comparisons.append((name, comparison))
        for row, values in accuracies.items():
            test = spread(*mean_std(values.to_numpy())) if len(values) else MISSING
            line = {"method": study.label(row), "target": name, "spent equally": BUDGETS[budget].partition(" (")[0]}
            lines.append(line | {"n": str(len(values)), "test": test, **columns(comparison, row)})
    text = "Test accuracy of the proposal in force when a search had spent what random search spent in all in the same world."
    return tabled(text + noted(comparisons), lines)
