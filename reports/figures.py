"""The parts that all figures share: panels, legends, bands and logarithmic axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.analysis.evidence import WEIGHT_SHARING
from harness.analysis.names import target_name
from harness.analysis.statistics import student_quantile
from harness.analysis.study import Study
from harness.analysis.traces import RowTraces
from reports import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200  # of the common grid
MARKS = 6  # markers per line
READABLE = style.BLOCK + 1
"""Lines in a panel at most."""
MANY = 6
"""Panels of a figure at most that are drawn two side by side."""
MULTI_TRIAL, SINGLE = "multi-trial", "other weight sharing"
"""Names of the panels of several methods."""
ROW = "row="
"""Start of the id of what shows a row in a figure; the row's name follows."""


LEGEND: Any = {"loc": "upper left", "fontsize": 6, "handlelength": 2.6, "ncols": 2, "columnspacing": 0.8}
"""Legend below a panel, if each panel has its own."""


Lines = dict[str, tuple[np.ndarray, Iterable[np.ndarray]]]
"""By row the places of a line, and for each place the values of all runs."""


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
    """Return (part of the title, rows) of each panel: few lines, and no colour twice.

    If a single panel has no room for all rows, every panel has the reference row. A method of weight sharing has a panel with
    the methods that change it; methods with a single row share panels, and so do multi-trial methods.
    """
    rows = study.rows(benchmark)
    looks, order = style.of_rows(study)
    if len(_panels(looks, rows)) <= 1:
        return [("", rows)]
    reference = [row for row in (study.reference(benchmark),) if row is not None]
    families: dict[str, list[str]] = {}
    for row in sorted(set(rows) - {*reference}, key=lambda row: (order[row], row)):
        method = (study.base(row) or row).partition("[")[0].partition(":")[0]
        families.setdefault(method if study.kind(benchmark, row) == WEIGHT_SHARING else MULTI_TRIAL, []).append(row)
    alone = [name for name, family in families.items() if len(family) == 1 and name != MULTI_TRIAL]
    families[SINGLE] = [row for name in alone for row in families.pop(name)]
    panels = []
    for name, family in families.items():
        parts = _panels(looks, family)
        for number, part in enumerate(parts, 1):
            base = family[:1] if number > 1 and name not in (MULTI_TRIAL, SINGLE) else []
            fitting = _panels(looks, [*part, *base])[0]
            panels.append(
                (f", {study.label(name)}" + (f" {number}/{len(parts)}" if len(parts) > 1 else ""), reference + fitting)
            )
    return panels


def _panels(looks: Mapping[str, Mapping[str, Any]], rows: Sequence[str]) -> list[list[str]]:
    """Deal rows to the first panel that has room for them, and no row of their colour."""
    panels: list[dict[str, str]] = []  # of each panel its rows by colour
    for row in rows:
        colour = looks[row]["color"]
        room = (panel for panel in panels if colour not in panel and len(panel) < READABLE)
        panel = next(room, None)
        if panel is None:
            panels.append(panel := {})
        panel[colour] = row
    return [list(panel.values()) for panel in panels]


def panel_title(study: Study, benchmark: str, target: str) -> str:
    """Return the target's name, with the benchmark's if there are several."""
    return target_name(target) if len(study.benchmarks) == 1 else f"{target_name(target)} (search: {benchmark})"


def render(study: Study, panels: Sequence[Panel], across: int = 0, size: tuple[float, float] = (3.1, 2.45)) -> dict[str, bytes]:
    """Draw the panels above a legend of their rows, and return the figure as PDF, PNG and SVG, by kind.

    Args:
        across: panels side by side at most; by default two, or three of many, so that a page can hold the figure.
        size: width and height of a panel, inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    looks = {row: {**look, "gid": f"{ROW}{row}"} for row, look in style.of_rows(study).looks.items()}
    across = min(across or (3 if len(panels) > MANY else 2), len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context(style.SETTINGS):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        drawn, titles = [], []
        first: dict[str, Axes] = {}
        for index, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
            titles.append(axis.set_title(panel.title, loc="left"))
            if panel.axes and first.setdefault(panel.axes, axis) is not axis:
                axis.sharex(first[panel.axes])
                axis.sharey(first[panel.axes])
            drawn.append(panel.draw(axis, looks))
            neighbour = index % across and panel.axes == panels[index - 1].axes
            above = index + across < len(panels) and panel.axes == panels[index + across].axes
            if panel.axes:
                axis.tick_params(labelleft=not neighbour, labelbottom=not above)
            if panel.x == "epoch":
                axis.xaxis.get_major_locator().set_params(integer=True)
            if index % across == 0 or panel.y != panels[index - 1].y:
                axis.set_ylabel(panel.y)
            if index + across >= len(panels) or panel.x != panels[index + across].x:
                axis.set_xlabel(panel.x)
        inches = _legends(study, figure, axes, drawn, across)
        figure.set_size_inches(size[0] * across + 0.3, size[1] * down + inches)
        figure.draw_without_rendering()  # the slow layout runs once, not for each file
        figure.set_layout_engine("none")
        for axis, title in zip(axes, titles, strict=False):
            share = axis.get_window_extent().width / max(title.get_window_extent().width, 1)
            title.set_fontsize(title.get_fontsize() * min(share, 1))  # a long title shrinks to the width of its panel
        files = {}
        for kind, metadata in (("pdf", "CreationDate"), ("png", "Software"), ("svg", "Date")):  # the same bytes every time
            figure.savefig(stream := BytesIO(), format=kind, dpi=150, metadata={metadata: None})
            files[kind] = stream.getvalue()
        return files


def _legends(study: Study, figure: Figure, axes: Sequence[Axes], drawn: Sequence[dict[str, Any]], across: int) -> float:
    """Draw a legend for the figure, or one below each panel if the rows are too many, and return its height in inches."""
    handles = {row: handles[row] for handles in reversed(drawn) for row in handles}
    if not handles:
        return 0.0
    common = len(handles) <= READABLE
    columns = max(1, min(len(handles), int(across * 1.6)))
    named = [panel for panel in axes if panel.get_xlabel()]
    for axis, members in [(figure, handles)] if common else zip(axes, drawn, strict=False):
        if common:
            place: Any = {"loc": "outside lower center", "ncols": columns, "handlelength": 3.5}
        else:
            place = {**LEGEND, "bbox_to_anchor": (-0.16, -0.24 if axis in named else -0.1)}
        legend = axis.legend([*members.values()], [study.label(row) for row in members], frameon=False, **place)
        for row, text in zip(members, legend.get_texts(), strict=True):
            text.set_gid(f"{ROW}{row}")
    if common:
        return 0.19 * -(-len(handles) // columns)
    return 0.14 * -(-len(axes) // across) * max(-(-len(members) // 2) for members in drawn)


def steps(searches: RowTraces, times: np.ndarray, values: np.ndarray, end: float) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """Return a grid of costs from the one at which every search has a value, and the values of all searches at its points.

    Args:
        times: flat: cost at each change of a search's value.
        values: flat: the value from each change on.
        end: end of the row's longest search.
    """
    start = max(float(times[searches.starts[:-1]].max()), 1e-9)
    grid = np.geomspace(start, max(end, start * (1 + 1e-9)), POINTS)
    grid[0] = start  # geomspace may round below the start, where the slowest run has no value
    return grid, searches.at_each(times, values, grid)


def bands(lines: Lines, robust: bool, largest: float = np.inf, **drawn: Any) -> Callable[..., dict[str, Any]]:
    """Return the function of a panel that draws some rows, see :func:`band`."""

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {row: band(panel, *line, robust, looks[row], largest, **drawn) for row, line in lines.items()}

    return draw


def band(
    panel: Axes,
    places: np.ndarray,
    points: Iterable[np.ndarray],
    robust: bool,
    look: dict[str, Any],
    largest: float = np.inf,
    bars: bool = False,
    **drawn: Any,
) -> Any:
    """Draw the mean of a row with its 95 % interval, or its median with its quartiles, and return the line.

    Args:
        points: for each place the values of all runs.
        robust: whether to draw median and quartiles.
        largest: largest possible value.
        bars: whether to draw bars at the places, and not a band.
        drawn: ``drawstyle`` of the line.
    """
    middle, low, high = np.array([_summary(values, robust) for values in points]).T
    low, high = low.clip(0, largest), high.clip(0, largest)
    if bars:
        panel.vlines(places, low, high, color=look["color"], linewidth=0.8, alpha=0.6)
    else:
        area: Any = {"color": look["color"], "gid": look.get("gid"), "alpha": 0.18, "linewidth": 0}
        panel.fill_between(places, low, high, step="post" if drawn else None, **area)
    every = max(len(places) // MARKS, 1)
    first = len(panel.lines) * 5 % every  # shifts the markers of rows that overlap
    (line,) = panel.plot(places, middle, markevery=(first, every), **drawn, **look)
    return line


def _summary(values: np.ndarray, robust: bool) -> tuple[float, float, float]:
    """Return middle, low and high of some runs; no low and high below 3 runs."""
    if robust:
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    else:
        middle = values.mean()
        half = student_quantile(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 2 else 0.0
        low, high = middle - half, middle + half
    return (middle, low, high) if len(values) > 2 else (middle, np.nan, np.nan)
