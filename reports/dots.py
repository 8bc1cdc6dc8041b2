"""The ranked dot plot: every run of every row, with mean and interval, rows in the order of the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import style
from reports.figures import ROW, Drawing, Panel, panel_title, plain_logarithmic, render
from reports.ranked import groups
from reports.statistics import mean_interval
from reports.study import Study
from reports.traces import Traces

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
    lines = 1
    for benchmark in study.benchmarks:
        members = {
            name: [row for row in rows if len(study.done(benchmark, row))] for name, rows in groups(study, benchmark).items()
        }
        for target in study.targets(benchmark):
            tests = {row: study.test(benchmark, row, target) for rows in members.values() for row in rows}
            if any(values.size for values in tests.values()):
                best = study.of_target("optimum", benchmark, target)
                known = best is not None and np.isfinite(best)
                values = {row: best - accuracies if known else accuracies for row, accuracies in tests.items()}
                first = target == study.targets(benchmark)[0]
                draw = _drawer(study, members, values, known, first)
                panels.append(Panel(panel_title(study, benchmark, target), DISTANCE if known else ACCURACY, "", draw))
                lines = max(lines, len(members) + sum(map(len, members.values())))
    if not panels:
        return None
    text = (
        "Every finished run by row, in the order of the results; better is to the right. A dot is a run, a line the mean of "
        "its row with the 95 % interval, none below 3 runs. Where the best of the stated set is known, the axis is the "
        "distance from it in points, logarithmic; a run that reaches it stands at the edge."
    )
    size = (5.2 if len(panels) == 1 else 2.3, 0.7 + LINE * lines)
    return Drawing(render(study, panels, across=3, size=size), text)


def _drawer(
    study: Study, members: Mapping[str, Sequence[str]], values: Mapping[str, np.ndarray], logarithmic: bool, named: bool
) -> Callable[..., dict[str, Any]]:
    everything = np.concatenate([*values.values()])
    floor = NEAREST * float(everything[everything > 0].min(initial=1.0)) if logarithmic else -np.inf

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        names: list[tuple[str, str]] = []  # of each line: its row, or "" for the head of a group, and its text
        for (group, rows), colour in zip(members.items(), style.COLOURS[1:], strict=False):
            names.append(("", group))
            for row in rows:
                height = len(names)
                marks: dict[str, Any] = {"color": colour, "gid": f"{ROW}{row}"}
                names.append((row, study.label(row)))
                if values[row].size:
                    interval = mean_interval(values[row])
                    low, high = interval or (values[row].mean(),) * 2
                    panel.plot(
                        np.maximum(values[row], floor),
                        [height] * values[row].size,
                        "o",
                        markersize=2.5,
                        alpha=0.5,
                        rasterized=values[row].size > DOTS,
                        **marks,
                    )
                    panel.plot([max(low, floor), max(high, floor)], [height] * 2, linewidth=1.6, **marks)
                    panel.plot([max(values[row].mean(), floor)], [height], "|", markersize=8, markeredgewidth=1.8, **marks)
        if logarithmic:
            panel.set_xscale("log")
            plain_logarithmic(panel.xaxis, *panel.get_xlim())
            panel.invert_xaxis()
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_yticks(range(len(names)), [text for _, text in names] if named else [""] * len(names))
        panel.tick_params(axis="y", length=0)
        for (row, _), text in zip(names, panel.get_yticklabels(), strict=True):
            text.set_gid(f"{ROW}{row}") if row else text.set_fontweight("bold")
        panel.grid(axis="y", visible=False)
        return {}

    return draw
