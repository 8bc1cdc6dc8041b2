"""The parts that all figures share: panels, legends, bands and logarithmic axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reports import style
from reports.evidence import WEIGHT_SHARING
from reports.formats import target_name
from reports.statistics import student_quantile
from reports.study import REFERENCE, Study
from reports.traces import RowTraces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

POINTS = 200  # of the common grid
MARKS = 6  # markers per line
READABLE = style.BLOCK + 1
"""Lines in a panel at most."""
ROW = "row="
"""Start of the id of what shows a row in a figure; the row's name follows."""


LEGEND: Any = {"loc": "upper left", "fontsize": 6, "handlelength": 2.6, "frameon": False, "ncols": 2, "columnspacing": 0.8}
"""Legend below a panel, if each panel has its own."""


class Drawing(NamedTuple):
    """A rendered figure: its content as bytes by kind (pdf, png, svg), and its caption."""

    files: dict[str, bytes]
    caption: str


class Panel(NamedTuple):
    """One panel: title, axis labels, and a function from the axes and the style of every row to ``{row: line}``."""

    title: str
    x: str
    y: str
    draw: Callable[[Axes, dict[str, dict[str, Any]]], dict[str, Any]]
    axes: str = ""
    """Panels with the same name here have the same axes."""


def groups(study: Study, benchmark: str) -> list[tuple[str, list[str]]]:
    """Return (part of the title, rows) of each panel: several panels if one would have too many lines.

    The reference row is in every panel, and a row is in the panel of the row that it changes.
    """
    rows = study.rows(benchmark)
    if len(rows) <= READABLE:
        return [("", rows)]
    reference = [row for row in (study.reference(benchmark),) if row is not None]
    blocks: dict[tuple[bool, int], list[str]] = {}
    for row in rows:
        plain = study.unchanged(row)
        place = next((study.places[name] for name in (row, plain, study.base(row)) if name in study.places), style.LOOKS)
        if row not in reference:
            blocks.setdefault((study.kind(benchmark, row) == WEIGHT_SHARING, place // style.BLOCK), []).append(row)
    panels = []
    for shared, name in ((False, ", multi-trial"), (True, ", weight sharing")):
        members = [blocks[key] for key in sorted(blocks) if key[0] is shared]
        parts = [part[start : start + style.BLOCK] for part in members for start in range(0, len(part), style.BLOCK)]
        for number, part in enumerate(parts, 1):
            panels.append((name + (f" {number}/{len(parts)}" if len(parts) > 1 else ""), reference + part))
    return panels


def panel_title(study: Study, benchmark: str, target: str) -> str:
    """Return the target's name, with the benchmark's if there are several."""
    return target_name(target) if len(study.benchmarks) == 1 else f"{target_name(target)} (search: {benchmark})"


def render(study: Study, panels: Sequence[Panel], across: int = 2, size: tuple[float, float] = (3.1, 2.45)) -> dict[str, bytes]:
    """Draw the panels above a legend of their rows, and return the figure as PDF, PNG and SVG, by kind.

    Args:
        across: panels side by side at most.
        size: width and height of a panel, inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(row for benchmark in study.benchmarks for row in study.rows(benchmark)))
    looks = {row: {**look, "gid": f"{ROW}{row}"} for row, look in style.looks(rows, study.places, REFERENCE).items()}
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context(style.SETTINGS):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(down, across, squeeze=False)
        titles = [axis.set_title(panel.title, loc="left") for axis, panel in zip(axes.flat, panels, strict=False)]
        drawn = [panel.draw(axis, looks) for axis, panel in zip(axes.flat, panels, strict=False)]
        for index, (axis, panel) in enumerate(zip(axes.flat, panels, strict=False)):
            if index % across == 0 or panel.y != panels[index - 1].y:
                axis.set_ylabel(panel.y)
            below = panels[index + across].x if index + across < len(panels) else None
            if panel.x != below:
                axis.set_xlabel(panel.x)
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        _same_axes(axes.flat, panels)
        named = [row for row in rows if any(row in handles for handles in drawn)]
        legend_inches = 0.0
        legends: list[tuple[Any, Iterable[str]]] = []
        if len(named) > READABLE:  # a legend below each panel
            for axis, handles in zip(axes.flat, drawn, strict=False):
                labels, depth = [study.label(row) for row in handles], -0.24 if axis.get_xlabel() else -0.1
                legends.append((axis.legend(list(handles.values()), labels, bbox_to_anchor=(-0.16, depth), **LEGEND), handles))
            legend_inches = 0.14 * down * max(-(-len(handles) // 2) for handles in drawn)
        elif named:
            handles = {row: handles[row] for handles in reversed(drawn) for row in handles}
            per_line = max(1, min(len(named), int(across * 1.6)))
            legend_inches = 0.19 * -(-len(named) // per_line)
            labels, lines = [study.label(row) for row in named], [handles[row] for row in named]
            place: Any = {"loc": "outside lower center", "ncols": per_line, "frameon": False, "handlelength": 3.5}
            legends.append((figure.legend(lines, labels, **place), named))
        for legend, members in legends:
            for row, text in zip(members, legend.get_texts(), strict=True):
                text.set_gid(f"{ROW}{row}")
        figure.set_size_inches(size[0] * across + 0.3, size[1] * down + legend_inches)
        figure.draw_without_rendering()  # the slow layout runs once, not for each file
        figure.set_layout_engine("none")
        for axis, title in zip(axes.flat, titles, strict=False):
            share = axis.get_window_extent().width / max(title.get_window_extent().width, 1)
            title.set_fontsize(title.get_fontsize() * min(share, 1))  # a long title shrinks to the width of its panel
        undated = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
        return {kind: _save(figure, kind, metadata) for kind, metadata in undated.items()}


def _save(figure: Any, kind: str, metadata: dict[str, Any]) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def band(panel: Axes, searches: RowTraces, times: np.ndarray, values: np.ndarray, end: float, look: dict[str, Any]) -> Any:
    """Draw the mean of one row and its band, from the time at which every search has a value.

    Args:
        times: flat: cost at each change of a search's value.
        values: flat: the value from each change on.
        end: end of the row's longest search.
    """
    start = max(float(times[searches.starts[:-1]].max()), 1e-9)
    end = max(end, start * (1 + 1e-9))
    grid = np.geomspace(start, end, POINTS)
    grid[0] = start  # geomspace may round below the start, where the slowest run has no value
    mean, std = searches.mean_on_grid(times, values, grid)
    if len(searches) >= 3:
        half = student_quantile(0.975, len(searches) - 1) * std / np.sqrt(len(searches))
        area: Any = {"color": look["color"], "gid": look.get("gid"), "alpha": 0.18, "linewidth": 0, "step": "post"}
        panel.fill_between(grid, mean - half, mean + half, **area)
    first = len(panel.lines) * 5 % (POINTS // MARKS)  # shifts the markers of rows that overlap
    (line,) = panel.plot(grid, mean, drawstyle="steps-post", markevery=(first, POINTS // MARKS), **look)
    return line


def _same_axes(axes: Iterable[Axes], panels: Sequence[Panel]) -> None:
    """Give the panels of one name the same axes: wide enough for each of them."""
    by_name: dict[str, list[Axes]] = {}
    for axis, panel in zip(axes, panels, strict=False):
        by_name.setdefault(panel.axes, []).append(axis)
    for name, members in by_name.items():
        if name and len({axis.get_yscale() for axis in members}) == 1:
            x, y = np.array([axis.get_xlim() for axis in members]), np.array([axis.get_ylim() for axis in members])
            for axis in members:
                axis.set_xlim(x[:, 0].min(), x[:, 1].max())
                axis.set_ylim(y[:, 0].min(), y[:, 1].max())
                for side, (low, high) in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
                    if axis.get_yscale() == "log":
                        plain_logarithmic(side, low, high)


def logarithmic(panel: Axes, ratio: float = 1.0) -> bool:
    """Make the vertical axis logarithmic if the lines span that ratio, and return whether it is."""
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    positive = np.concatenate([values[values > 0] for values in lines]) if lines else np.empty(0)
    if not positive.size or positive.max() < ratio * positive.min():  # lines of zeros have no logarithm
        return False
    panel.set_yscale("log", nonpositive="clip")
    panel.set_ylim(max(positive.min() * 0.7, 1e-3), positive.max() * 1.2)
    plain_logarithmic(panel.yaxis, *panel.get_ylim())
    return True


def plain_logarithmic(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis from ``low`` to ``high`` with plain numbers that do not overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ratio = high / low
    steps = (1.0, 2.0, 5.0) if ratio < 60 else (1.0, 3.0) if ratio < 1000 else (1.0,)  # labels that do not overlap
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", "\N{THIN SPACE}")))
    axis.set_minor_formatter(NullFormatter())
