"""The figure of the test regret against the budget: anytime curves, and a dot per budget of schedules fitted to budgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.evidence import Fitted
from reports.figures import Drawing, Panel, band, groups, logarithmic, panel_title, plain_logarithmic, render
from reports.statistics import student_quantile
from reports.study import Study
from reports.traces import RowTraces, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURRENCY = "seconds"
"""The currency in which both kinds of methods are charged."""
DODGE = 1.06
"""Ratio between the places of the dots of neighbouring rows, which would hide each other."""
CURVES = (
    "Test regret against the best of the stated set, in percentage points, over the charged cost of a search; both axes are "
    "logarithmic. Lines: mean over finished runs, from the time at which every run has a proposal. Bands and bars: pointwise "
    "95 % interval of the mean (Student t), none below 3 runs. A line that ends at the lower edge has reached zero regret."
)
DOTS = (
    " Dots: searches whose schedules were fitted to the budget at which the dots stand, a little apart; each dot is a separate "
    "set of searches. Rows without a schedule: their searches under the largest budget in the store."
)
LEVEL = " A level line: a row that is charged nothing."


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the regret over the budget, several panels per benchmark and target; None if no target has a known optimum."""
    panels = []
    for benchmark in study.benchmarks:
        fitted = _several_budgets(study, benchmark)
        second = next((part.training_seconds for part in study.parts(benchmark) if part.training_seconds > 0), 0.0)
        unit = second if len(fitted) and second else 1.0
        label = f"budget (mean trainings of {unit:.3g} s)" if unit != 1 else "charged search time (s)"
        for target in study.targets(benchmark):
            best = study.of_target("optimum", benchmark, target)
            if best is None or not np.isfinite(best):
                continue
            for name, rows in groups(study, benchmark):
                regrets = {row: _dots(fitted, row, target, best, unit) for row in rows}
                curves = {row: _longest(study, traces, benchmark, row).proposing(target) for row in rows}
                curves = {row: searches for row, searches in curves.items() if len(searches) and not len(regrets[row])}
                title = panel_title(study, benchmark, target)
                draw = _drawer(study, benchmark, target, best, unit, curves, regrets)
                if curves or any(map(len, regrets.values())):
                    panels.append(Panel(title + name, label, "test regret (percentage points)", draw, title))
    free = any(study.free(benchmark, row) for benchmark in study.benchmarks for row in study.rows(benchmark))
    dotted = any(len(_several_budgets(study, benchmark)) for benchmark in study.benchmarks)
    caption = CURVES + DOTS * dotted + LEVEL * free
    return Drawing(render(study, panels), caption) if panels else None


def _several_budgets(study: Study, benchmark: str) -> pd.DataFrame:
    """Return the searches of a benchmark with fitted schedules; none if no row ran under two budgets."""
    table = study.evidence.fitted
    fitted = table[(table[Fitted.BENCHMARK] == benchmark) & (table[Fitted.CURRENCY] == CURRENCY)]
    fitted = fitted[~fitted[Fitted.ROW].isin([row for row in study.rows(benchmark) if study.free(benchmark, row)])]
    return fitted if fitted.groupby(Fitted.ROW)[Fitted.LIMIT].nunique().gt(1).any() else fitted.iloc[:0]


def _longest(study: Study, traces: Traces, benchmark: str, row: str) -> RowTraces:
    longest = study.evidence.longest.of(benchmark, row)
    return longest if len(longest) and len(_several_budgets(study, benchmark)) else traces.of(benchmark, row)


def _dots(fitted: pd.DataFrame, row: str, target: str, best: float, unit: float) -> pd.Series:
    """Return the regrets of a row's fitted searches by budget."""
    searches = fitted[(fitted[Fitted.ROW] == row) & (fitted[Fitted.TARGET] == target)]
    return (best - searches.set_index(searches[Fitted.LIMIT] / unit)[Fitted.TEST]).dropna().astype(float)


def _drawer(
    study: Study,
    benchmark: str,
    target: str,
    best: float,
    unit: float,
    curves: dict[str, RowTraces],
    dots: dict[str, pd.Series],
) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        free = {row for row in curves if study.free(benchmark, row)}
        for row, searches in curves.items():
            regrets, end = best - searches.test[target], float(searches.end.max()) / unit
            if row in free and len(free) < len(curves):  # a logarithmic axis has no place for what costs nothing
                handles[row] = panel.axhline(float(regrets[searches.starts[1:] - 1].mean()), **looks[row])
            else:
                handles[row] = band(panel, searches, searches.seconds / unit, regrets, end, looks[row])
        dotted = [row for row, regrets in dots.items() if len(regrets)]
        for number, row in enumerate(dotted):
            handles[row] = _errorbars(panel, dots[row], DODGE ** (number - (len(dotted) - 1) / 2), looks[row])
        panel.set_xscale("log")
        logarithmic(panel)
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
        return handles

    return draw


def _errorbars(panel: Axes, regrets: pd.Series, shift: float, look: dict[str, Any]) -> Any:
    """Draw a row's mean regret at each of its budgets, with intervals."""
    budgets = regrets.groupby(level=0)
    means, runs = budgets.mean(), budgets.size()
    factors = [student_quantile(0.975, count - 1) if count >= 3 else 0.0 for count in runs]
    halves = factors * (budgets.std(ddof=1) / np.sqrt(runs)).fillna(0.0)
    low = np.minimum(halves, 0.999 * means)  # a logarithm has no zero
    places = means.index.to_numpy() * shift
    panel.errorbar(places, means, yerr=[low, halves], fmt="none", ecolor=look["color"], elinewidth=0.8, alpha=0.6)
    (line,) = panel.plot(places, means, **look)
    return line
