"""The ranked dot plot: every run of every row, with mean and interval, rows in the order of the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.statistics import mean_interval
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports import style
from reports.axes import plain_logarithmic
from reports.figures import ROW, Drawing, Panel, panel_title, render
from reports.ranked import groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCURACY, DISTANCE = "test accuracy (%)", "points below the best"
LINE = 0.165
"""Inches per line."""
DOTS = 100
"""Dots of a row at most that are drawn one by one in vector files; more are a picture."""
NEAREST = 0.7
"""A run at the best is drawn at this share of the smallest distance of the others."""


def ranking(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test accuracy of every finished run, a panel per benchmark and target; None if nothing was judged."""
    panels = []
    most = 1
    for benchmark in study.benchmarks:
        members = {
            name: [row for row in rows if len(study.done(benchmark, row))] for name, rows in groups(study, benchmark).items()
        }
        for target in study.targets(benchmark):
            tests = {row: study.test(benchmark, row, target) for rows in members.values() for row in rows}
            if any(values.size for values in tests.values()):
                best = study.optima(benchmark).get(target)
                values = tests if best is None else {row: best - accuracies for row, accuracies in tests.items()}
                named = {row: study.label(row) for row in tests} if target == study.targets(benchmark)[0] else {}
                draw = partial(_draw, members, values, named, best is not None)
                panels.append(Panel(panel_title(study, benchmark, target), ACCURACY if best is None else DISTANCE, "", draw))
                most = max(most, len(members) + sum(map(len, members.values())))
    text = "Every finished run (dot) by row, best row first; better is to the right. Bars: mean with its 95 % interval."
    size = (5.2 if len(panels) == 1 else 2.3, 0.7 + LINE * most)
    return Drawing(render(study, panels, across=3, size=size), text) if panels else None


def _draw(
    members: Mapping[str, Sequence[str]],
    values: Mapping[str, np.ndarray],
    named: Mapping[str, str],
    logarithmic: bool,
    panel: Axes,
    looks: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    everything = np.concatenate([*values.values()])
    floor = NEAREST * float(everything[everything > 0].min(initial=1.0)) if logarithmic else -np.inf
    names: list[tuple[str, str]] = []  # of each line: its row, or "" for the head of a group, and its text
    for (group, rows), colour in zip(members.items(), style.COLOURS[1:], strict=False):
        names.append(("", group if named else ""))
        for row in rows:
            if values[row].size:
                low, high = mean_interval(values[row]) or (values[row].mean(),) * 2
                places, interval, mean = (np.maximum(x, floor) for x in (values[row], [low, high], values[row].mean()))
                marks: dict[str, Any] = {"color": colour, "gid": f"{ROW}{row}"}
                dots: dict[str, Any] = {"markersize": 2.5, "alpha": 0.5, "rasterized": len(places) > DOTS}
                panel.plot(places, [len(names)] * len(places), "o", **dots, **marks)
                panel.plot(interval, [len(names)] * 2, linewidth=1.2, **marks)
                panel.plot([mean], [len(names)], "|", markersize=8, markeredgewidth=1.8, **marks)
            names.append((row, named.get(row, "")))
    if logarithmic:
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
        panel.invert_xaxis()
    name_lines(panel, names)
    return {}


def name_lines(panel: Axes, names: Sequence[tuple[str, str]]) -> None:
    """Name the lines of a panel from its top: each has a row and its text; a head of a group has no row and is bold."""
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_yticks(range(len(names)), [text for _, text in names])
    panel.tick_params(axis="y", length=0)
    for (row, _), text in zip(names, panel.get_yticklabels(), strict=True):
        text.set_gid(f"{ROW}{row}") if row else text.set_fontweight("bold")
    panel.grid(axis="y", visible=False)
