"""The figure of mean ranks: a dot per row with its interval, over all benchmarks, or at every budget of the searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports import anytime, overall, style
from reports.dots import LINE, name_lines
from reports.evidence import Run
from reports.figures import ROW, Drawing, Panel, render
from reports.overall import MeanRanks
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT = "Mean rank by test accuracy within the seed, with its 95 % interval; 1 is the best."


def drawing(study: Study, traces: Traces) -> Drawing | None:
    """Draw the mean ranks over all benchmarks, and by budget for a benchmark that has several; None if neither is."""
    own = {study.page.protocol: overall.one_budget(study)}
    budgets = {name: ranked for name in study.benchmarks if (ranked := by_budget(study, traces, name))}
    return over(study, own, {f"{name}, by budget": ranked for name, ranked in budgets.items()})


def over(
    study: Study, one_budget: Mapping[str, Iterable[str]], budgets: Mapping[str, Mapping[str, MeanRanks]] | None = None
) -> Drawing | None:
    """Draw the mean ranks over all benchmarks, see :func:`reports.overall.contests`.

    Args:
        budgets: further panels: by title and budget in words, the mean ranks.
    """
    groups = overall.contests(study.runs, one_budget).items()
    shown = {f"all benchmarks, {group}": {"": overall.mean_ranks(members)} for group, members in groups} | dict(budgets or {})
    rows = max((len(ranks) for series in shown.values() for ranks in series.values()), default=0)
    panels = [Panel(title, "mean rank", "", partial(_draw, study, series)) for title, series in shown.items()]
    text = TEXT + " By budget: among the rows, and over the seeds, that searched under every one." * bool(budgets)
    return Drawing(render(study, panels, across=1, size=(6.0, 0.7 + LINE * rows)), text) if panels else None


def by_budget(study: Study, traces: Traces, benchmark: str) -> dict[str, MeanRanks]:
    """Return the mean ranks by budget, in words, of the rows that searched under every budget; empty if there is only one.

    A row without a schedule has the proposal that its longest searches had at that budget.
    """
    fitted = anytime.several_budgets(study, benchmark)
    plain = [row for row in study.rows(benchmark) if row not in {*fitted[Run.ROW]} and not study.free(benchmark, row)]
    tests: dict[float, dict[str, pd.DataFrame]] = {}
    for (limit, target), group in fitted.groupby(["limit", Run.TARGET]):
        columns = {str(row): lines.set_index(Run.WORLD)[Run.TEST] for row, lines in group.groupby(Run.ROW)}
        for row in plain:
            searches = anytime.longest(study, traces, benchmark, row, several=True).proposing(str(target))
            if len(searches):
                columns[row] = searches.at(str(target), searches.seconds, dict.fromkeys(searches.worlds.tolist(), limit))
        tests.setdefault(float(limit), {})[str(target)] = pd.DataFrame(columns)
    tables = [table for by_target in tests.values() for table in by_target.values()]
    rows = [row for row in study.rows(benchmark) if all(row in table for table in tables)]
    seeds = set.intersection(*({*table[rows].dropna().index} for table in tables)) if tables and rows else set()
    second = next((part.training_seconds for part in study.parts(benchmark) if part.training_seconds > 0), 1.0)
    unit = "seconds" if second == 1 else "mean trainings"
    ranked = {
        f"{limit / second:.4g} {unit}": overall.ranks(
            {name: table.loc[sorted(seeds), rows] for name, table in by_target.items()}
        )
        for limit, by_target in sorted(tests.items())
    }
    return {name: overall.mean_ranks_of([table]) for name, table in ranked.items()} if seeds and len(rows) > 1 else {}


def _draw(study: Study, series: Mapping[str, MeanRanks], panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Draw the rows by their mean rank in the last of the series, which is the largest budget."""
    *_, last = series.values()
    order = sorted(last, key=lambda row: last[row][0])
    for place, (name, ranks) in enumerate(series.items()):
        shift = 0.18 * (place - (len(series) - 1) / 2)
        for height, row in enumerate(order):
            mean, interval = ranks[row]
            marks: dict[str, Any] = {"color": style.COLOURS[1 + place % style.BLOCK], "gid": f"{ROW}{row}"}
            panel.plot(interval or (mean, mean), np.full(2, height + shift), linewidth=1.2, **marks)
            panel.plot([mean], [height + shift], style.MARKERS[place % len(style.MARKERS)], markersize=3.5, **marks)
        panel.plot([], [], style.MARKERS[place % len(style.MARKERS)], color=style.COLOURS[1 + place % style.BLOCK], label=name)
    name_lines(panel, [(row, study.label(row)) for row in order])
    if len(series) > 1:
        panel.legend(loc="lower left", fontsize=7)
    return {}
