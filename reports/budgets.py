"""The figure of regret against the budget: weight sharing fitted to several budgets, next to the anytime curves of queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.evidence import Fitted
from reports.figures import READABLE, Drawing, Panel, band, logarithmic, panel_title, plain_logarithmic, render
from reports.statistics import student_quantile
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURRENCY = "seconds"
"""The currency in which both kinds of methods are charged."""


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test regret of fitted searches at their budgets; None if no row ran under two budgets."""
    panels = [
        Panel(panel_title(study, benchmark, target) + name, "budget (charged s)", "test regret (percentage points)", draw)
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        for name, draw in _panels(study, traces, benchmark, target)
    ]
    text = (
        "Test regret against the best of the stated set over the budget of a search, both logarithmic. Dots: searches of "
        "weight sharing whose schedules were fitted to the budget at which the dot stands, mean and 95 % interval (Student t, "
        "none below 3 runs); each dot is a separate set of searches. The line in every panel: random search, at every moment."
    )
    return Drawing(render(study, panels), text) if panels else None


def _panels(study: Study, traces: Traces, benchmark: str, target: str) -> list[tuple[str, Callable[..., dict[str, Any]]]]:
    """Return (part of the title, function that draws) of each panel of one target."""
    best = study.of_target("optimum", benchmark, target)
    table = study.evidence.fitted
    chosen = (table[Fitted.BENCHMARK] == benchmark) & (table[Fitted.TARGET] == target) & (table[Fitted.CURRENCY] == CURRENCY)
    fitted = table[chosen]
    if best is None or not np.isfinite(best) or fitted.groupby(Fitted.ROW)[Fitted.LIMIT].nunique().lt(2).all():
        return []
    rows = sorted(fitted[Fitted.ROW].unique())
    reference = study.reference(benchmark)
    lines = [reference] if reference else []
    parts = [rows[start : start + READABLE - 1] for start in range(0, len(rows), READABLE - 1)]
    titles = [f" {number}/{len(parts)}" if len(parts) > 1 else "" for number in range(1, len(parts) + 1)]
    return [
        (title, _drawer(traces, benchmark, target, best, lines, fitted, part))
        for title, part in zip(titles, parts, strict=True)
    ]


def _drawer(
    traces: Traces, benchmark: str, target: str, best: float, lines: Sequence[str], fitted: pd.DataFrame, rows: Sequence[str]
) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row in lines:
            searches = traces.of(benchmark, row).proposing(target)
            if len(searches):
                regrets, end = best - searches.test[target], float(searches.end.max())
                handles[row] = band(panel, searches, searches.seconds, regrets, end, looks[row])
        for row in rows:
            handles[row] = _dots(panel, best, fitted[fitted[Fitted.ROW] == row], looks[row])
        panel.set_xscale("log")
        logarithmic(panel)
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
        return handles

    return draw


def _dots(panel: Axes, best: float, searches: pd.DataFrame, look: dict[str, Any]) -> Any:
    """Draw a row's mean regret at each of its budgets, with intervals."""
    regret = (best - searches.set_index(Fitted.LIMIT)[Fitted.TEST]).dropna()
    known = [(float(limit), regret.loc[[limit]]) for limit in sorted(set(regret.index))]
    limits, means = [limit for limit, _ in known], [float(regrets.mean()) for _, regrets in known]
    halves = [
        student_quantile(0.975, len(r) - 1) * float(r.std(ddof=1)) / np.sqrt(len(r)) if len(r) >= 3 else 0.0 for _, r in known
    ]
    low = [min(half, 0.999 * mean) for half, mean in zip(halves, means, strict=True)]  # a logarithm has no zero
    panel.errorbar(limits, means, yerr=[low, halves], fmt="none", ecolor=look["color"], elinewidth=0.8, alpha=0.6)
    (line,) = panel.plot(limits, means, **look)
    return line
