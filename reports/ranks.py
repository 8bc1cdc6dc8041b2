"""The figure of mean ranks: a dot per row with its interval, over all benchmarks, or at every budget of the searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.ranks import MeanRanks, by_budget, contests, mean_ranks, one_budget
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports import style
from reports.dots import LINE, name_lines
from reports.figures import ROW, Drawing, Panel, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT = "Mean rank by test accuracy within the seed, with its 95 % interval; 1 is the best."


def drawing(study: Study, traces: Traces) -> Drawing | None:
    """Draw the mean ranks over all benchmarks, and by budget for a benchmark that has several; None if neither is."""
    own = {study.page.protocol: one_budget(study)}
    budgets = {name: ranked for name in study.benchmarks if (ranked := by_budget(study, traces, name))}
    return over(study, own, {f"{name}, by budget": ranked for name, ranked in budgets.items()})


def over(
    study: Study, together: Mapping[str, Iterable[str]], budgets: Mapping[str, Mapping[str, MeanRanks]] | None = None
) -> Drawing | None:
    """Draw the mean ranks over all benchmarks, see :func:`harness.analysis.ranks.contests`.

    Args:
        budgets: further panels: by title and budget in words, the mean ranks.
    """
    groups = contests(study.runs, together).items()
    shown = {f"all benchmarks, {group}": {"": mean_ranks(members)} for group, members in groups} | dict(budgets or {})
    rows = max((len(ranks) for series in shown.values() for ranks in series.values()), default=0)
    panels = [Panel(title, "mean rank", "", partial(_draw, study, series)) for title, series in shown.items()]
    text = TEXT + " By budget: among the rows, and over the seeds, that searched under every one." * bool(budgets)
    return Drawing(render(study, panels, across=1, size=(6.0, 0.7 + LINE * rows)), text) if panels else None


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
    panel.set_xlim(0.5, max([len(order), *(mean for mean, _ in last.values())]) + 0.5)  # an interval may leave what is possible
    if len(series) > 1:
        panel.legend(loc="lower left", fontsize=7)
    return {}
