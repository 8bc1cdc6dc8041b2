"""Figures: anytime test regret against charged seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import style
from reports.formats import target_name
from reports.statistics import student_quantile
from reports.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 200  # of the common grid
MARKS = 6  # markers per line


def step_values(seconds: Sequence[np.ndarray], values: Sequence[np.ndarray], grid: np.ndarray) -> np.ndarray:
    """Evaluate step functions on a common grid: (runs, grid) with NaN before a run's first proposal.

    Args:
        seconds: ascending times at which each run's value changes.
        values: the value from each of those times on.
        grid: times at which to evaluate.
    """
    table = np.full((len(seconds), grid.size), np.nan)
    for index, (times, steps) in enumerate(zip(seconds, values, strict=True)):
        last = np.searchsorted(times, grid, side="right") - 1
        made = last >= 0
        table[index, made] = np.asarray(steps, dtype=float)[last[made]]
    return table


def regret(study: Study, traces: list[dict[str, Any]]) -> dict[str, bytes]:
    """Draw the anytime regret, a panel per benchmark and target; {"pdf": bytes, "png": bytes}, empty without traces."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for trace in traces:
        if len(trace["seconds"]):
            runs[trace["benchmark"], trace["row"]].append(trace)
    panels = [(b, t) for b in study.benchmarks for t in study.targets(b) if any(name == b for name, _ in runs)]
    if not panels:
        return {}
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    traced = {row for _, row in runs}
    rows = [row for row in dict.fromkeys(row for b in study.benchmarks for row in study.rows(b)) if row in traced]
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    per_line = max(1, min(len(rows), int(across * 1.6)))
    legend_inches = 0.22 * -(-len(rows) // per_line) + 0.1
    width, height = (3.1 * across + 0.3, 2.45 * down + legend_inches)
    with matplotlib.rc_context(style.SETTINGS):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        axes = figure.subplots(down, across, squeeze=False)
        handles: dict[str, Any] = {}
        for panel, (benchmark, target) in zip(axes.flat, panels, strict=False):
            name = target_name(target) if len(study.benchmarks) == 1 else f"{target_name(target)} (search: {benchmark})"
            panel.set_title(name, loc="left")
            for index, row in enumerate(rows):
                drawn = [trace for trace in runs.get((benchmark, row), []) if target in trace["regret"]]
                if drawn:
                    handles.setdefault(row, _draw(panel, drawn, target, style.line(index)))
            _finish(panel)
        for panel in axes.flat[len(panels) :]:
            panel.set_axis_off()
        for panel in axes[:, 0]:
            panel.set_ylabel("test regret (percentage points)")
        for index, panel in enumerate(axes.flat[: len(panels)]):
            if index + across >= len(panels):
                panel.set_xlabel("charged search time (s)")
        named = [row for row in rows if row in handles]
        labels = [study.label(row) for row in named]
        lines = [handles[row] for row in named]
        figure.legend(lines, labels, loc="lower center", ncols=per_line, frameon=False, handlelength=3.5)
        bottom = (legend_inches + 0.42) / height
        figure.subplots_adjust(
            left=0.55 / width, right=1 - 0.1 / width, top=1 - 0.3 / height, bottom=bottom, wspace=0.2, hspace=0.42
        )
        return {"pdf": _save(figure, "pdf", {"CreationDate": None}), "png": _save(figure, "png", {"Software": None})}


def _save(figure: Any, kind: str, metadata: dict[str, Any]) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def _draw(panel: Axes, traces: list[dict[str, Any]], target: str, look: dict[str, Any]) -> Any:
    """Draw one row's mean and band, from the time at which every run has a proposal to the end of its longest run."""
    seconds = [np.asarray(trace["seconds"], dtype=float) for trace in traces]
    start = max(max(float(times[0]) for times in seconds), 1e-9)
    end = max(max(float(trace["end"]) for trace in traces), start * (1 + 1e-9))
    grid = np.geomspace(start, end, POINTS)
    grid[0] = start  # geomspace may round below the start, where the slowest run has nothing yet
    table = step_values(seconds, [trace["regret"][target] for trace in traces], grid)
    mean = table.mean(axis=0)
    if len(traces) >= 3:
        half = student_quantile(0.975, len(traces) - 1) * table.std(axis=0, ddof=1) / np.sqrt(len(traces))
        panel.fill_between(grid, mean - half, mean + half, color=look["color"], alpha=0.18, linewidth=0, step="post")
    first = len(panel.lines) * 5 % (POINTS // MARKS)  # rows that overlap keep their markers apart
    (drawn,) = panel.plot(grid, mean, drawstyle="steps-post", markevery=(first, POINTS // MARKS), **look)
    return drawn


def _finish(panel: Axes) -> None:
    """Set logarithmic axes with plain numbers, the lower edge just below the smallest mean that is not zero."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    lines = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    positive = np.concatenate([values[values > 0] for values in lines]) if lines else np.empty(0)
    panel.set_xscale("log")
    if positive.size:  # a logarithmic axis cannot show lines that are zero throughout
        panel.set_yscale("log", nonpositive="clip")
        panel.set_ylim(max(positive.min() * 0.7, 1e-3), positive.max() * 1.2)
    logarithmic = [(panel.xaxis, panel.get_xlim()), *([(panel.yaxis, panel.get_ylim())] if positive.size else [])]
    for axis, (low, high) in logarithmic:
        ratio = high / low
        steps = (1.0, 2.0, 5.0) if ratio < 60 else (1.0, 3.0) if ratio < 1000 else (1.0,)  # what fits without touching
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", "\N{THIN SPACE}")))
        axis.set_minor_formatter(NullFormatter())


def caption(study: Study) -> str:
    """Say what the regret figure shows."""
    return (
        f"Anytime test regret against the best of {study.stated_set}, in percentage points, over charged search seconds. "
        "Both axes are logarithmic. Lines: mean over finished runs, drawn from the time at which every run has a proposal. "
        "Bands: pointwise 95 % interval of the mean (Student t), none below 3 runs. A line that ends at the lower edge has "
        "reached zero regret."
    )
