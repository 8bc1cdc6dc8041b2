"""The figure of the anytime test regret over charged seconds, and the parts that all figures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reports import style
from reports.formats import target_name
from reports.statistics import student_quantile
from reports.study import REFERENCE, Study
from reports.traces import RowTraces, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

POINTS = 200  # of the common grid
MARKS = 6  # markers per line
READABLE = 9
"""Lines in a panel at most."""
ROW = "row="
"""Start of the id of what shows a row in a figure; the row's name follows."""


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


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the anytime regret, a panel per benchmark and target; None if no target has a known optimum."""
    panels = [
        Panel(panel_title(study, benchmark, target) + name, "charged search time (s)", "test regret (percentage points)", draw)
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        for name, rows in groups(study, benchmark)
        if (draw := _regret_of(study, traces, benchmark, target, rows)) is not None
    ]
    if not panels:
        return None
    free = any(_is_free(traces.of(benchmark, row)) for benchmark in study.benchmarks for row in study.rows(benchmark))
    return Drawing(render(study, panels), caption() + (" A level line: a row that is charged nothing." if free else ""))


def _is_free(searches: RowTraces) -> bool:
    """Return True if the searches were charged nothing: the floor of a random cell."""
    return len(searches) > 0 and not searches.end.any()


def groups(study: Study, benchmark: str) -> list[tuple[str, list[str]]]:
    """Return (part of the title, rows) of each panel: several panels if one would have too many lines.

    The reference row is in every panel.
    """
    rows, shared = study.rows(benchmark), study.shared_weights(benchmark)
    if len(rows) <= READABLE:
        return [("", rows)]
    reference = [row for row in (study.reference(benchmark),) if row is not None]
    kinds = ((", multi-trial", [row for row in rows if row not in shared]), (", weight sharing", shared))
    panels = []
    for name, members in kinds:
        compared = [row for row in members if row not in reference]
        size = READABLE - len(reference)
        parts = [compared[start : start + size] for start in range(0, len(compared), size)]
        for number, part in enumerate(parts, 1):
            panels.append((name + (f" {number}/{len(parts)}" if len(parts) > 1 else ""), reference + part))
    return panels


def _regret_of(
    study: Study, traces: Traces, benchmark: str, target: str, rows: Sequence[str]
) -> Callable[..., dict[str, Any]] | None:
    best = study.of_target("optimum", benchmark, target)
    if best is None or not np.isfinite(best):
        return None
    by_row = {row: searches for row in rows if len(searches := traces.of(benchmark, row).proposing(target))}

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        free = {row for row, searches in by_row.items() if _is_free(searches)}
        for row, searches in by_row.items():
            regrets, end = best - searches.test[target], float(searches.end.max())
            if row in free and len(free) < len(by_row):  # a logarithmic axis has no place for what costs nothing
                handles[row] = panel.axhline(float(regrets[searches.starts[1:] - 1].mean()), **looks[row])
            else:
                handles[row] = band(panel, searches, searches.seconds, regrets, end, looks[row])
        _finish(panel)
        return handles

    return draw if by_row else None


def panel_title(study: Study, benchmark: str, target: str) -> str:
    """Return the target's name, with the benchmark's if there are several."""
    return target_name(target) if len(study.benchmarks) == 1 else f"{target_name(target)} (search: {benchmark})"


def render(study: Study, panels: Sequence[Panel], across: int = 3, size: tuple[float, float] = (3.1, 2.45)) -> dict[str, bytes]:
    """Draw the panels above a legend of their rows, and return it as PDF, PNG and SVG, by kind.

    Args:
        across: panels side by side at most.
        size: width and height of a panel, inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(row for benchmark in study.benchmarks for row in study.rows(benchmark)))
    looks = style.looks(rows, study.page.known_rows, REFERENCE)
    looks = {row: {**look, "gid": f"{ROW}{row}"} for row, look in looks.items()}
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context(style.SETTINGS):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(down, across, squeeze=False)
        handles: dict[str, Any] = {}
        titles = [axis.set_title(panel.title, loc="left") for axis, panel in zip(axes.flat, panels, strict=False)]
        for index, (axis, panel) in enumerate(zip(axes.flat, panels, strict=False)):
            handles = {**panel.draw(axis, looks), **handles}
            if index % across == 0 or panel.y != panels[index - 1].y:
                axis.set_ylabel(panel.y)
            below = panels[index + across].x if index + across < len(panels) else None
            if panel.x != below:
                axis.set_xlabel(panel.x)
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        named = [row for row in rows if row in handles]
        labels = [study.label(row) for row in named]
        lines = [handles[row] for row in named]
        per_line = max(1, min(len(named), int(across * 1.6)))
        legend_inches = 0.19 * -(-len(named) // per_line)
        figure.set_size_inches(size[0] * across + 0.3, size[1] * down + legend_inches)
        if named:
            legend = figure.legend(lines, labels, loc="outside lower center", ncols=per_line, frameon=False, handlelength=3.5)
            for row, text in zip(named, legend.get_texts(), strict=True):
                text.set_gid(f"{ROW}{row}")
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
        panel.fill_between(
            grid, mean - half, mean + half, color=look["color"], alpha=0.18, linewidth=0, step="post", gid=look["gid"]
        )
    first = len(panel.lines) * 5 % (POINTS // MARKS)  # shifts the markers of rows that overlap
    (line,) = panel.plot(grid, mean, drawstyle="steps-post", markevery=(first, POINTS // MARKS), **look)
    return line


def _finish(panel: Axes) -> None:
    """Set logarithmic axes with plain numbers; the lower edge is just below the smallest positive mean."""
    panel.set_xscale("log")
    logarithmic(panel)
    plain_logarithmic(panel.xaxis, *panel.get_xlim())


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


def caption() -> str:
    """Return the caption of the regret figure."""
    return (
        "Anytime test regret against the best of the stated set, in percentage points, over charged search seconds. "
        "Both axes are logarithmic. Lines: mean over finished runs, drawn from the time at which every run has a proposal. "
        "Bands: pointwise 95 % interval of the mean (Student t), none below 3 runs. A line that ends at the lower edge has "
        "reached zero regret."
    )
