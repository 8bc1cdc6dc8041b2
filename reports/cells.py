"""The cells that searches proposed: how often each kind of operation is in them, and drawings of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reports.epochs import logged
from reports.evidence import Cell, Kind, Space
from reports.figures import Drawing, Panel, render
from reports.formats import number, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import Log, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS: tuple[Kind, ...] = ("identity", "zero", "pooling", "convolution")
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

LEGIBLE = 3
"""Operations that are named on one edge; more are counted."""


class Proposals(NamedTuple):
    """The cells that the finished runs of one row ended with, in the order of their worlds."""

    texts: list[str]
    cells: dict[str, tuple[Cell, ...]]


def _proposals(study: Study, benchmark: str, row: str) -> Proposals:
    proposals = study.cells(benchmark, row).values()
    return Proposals([text for text, _ in proposals], dict(proposals))


def operations(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Count the operations of final cells, by kind; None if no row has cells with an operation on every edge."""
    rows = {row: _proposals(study, benchmark, row) for row in study.shared_weights(benchmark)}
    rows = {row: proposals for row, proposals in rows.items() if proposals.texts and _on_every_edge(proposals)}
    if not rows:
        return None
    ((cell,), *_) = next(iter(rows.values())).cells.values()
    edges = WORDS[len(cell.edges)] if len(cell.edges) < len(WORDS) else str(len(cell.edges))
    columns = [Column("method", right=False), Column("runs"), Column("different cells")]
    columns += [Column("skip connections"), Column("none"), Column("pooling"), Column("convolutions"), Column("collapsed")]
    columns += [Column("entropy at the end")]
    table = Table(
        f"Final cells of weight sharing: edges, out of {edges}, with a skip connection, no operation, pooling or a convolution"
        ", mean ± standard deviation (ddof 0) over finished runs. Collapsed: runs, in percent, whose cell has no convolution. "
        "Entropy: of the weights on operations in the last epoch, 1 where all are the same; n/a where a method has none.",
        columns,
    )
    for row, proposals in rows.items():
        counts = {kind: [_count(proposals.cells[text], kind) for text in proposals.texts] for kind in KINDS}
        means = [spread(*mean_std(counts[kind]), 1) for kind in KINDS]
        collapsed = number(100 * float((np.array(counts["convolution"]) == 0).mean()), 0)
        entropies = [logged(search.log, Log.ENTROPY) for search in traces.of(benchmark, row).logging()]
        last = [float(entropy.iloc[-1]) for entropy in entropies if len(entropy)]
        runs = [str(len(proposals.texts)), str(len(proposals.cells))]
        table.add([study.label(row), *runs, *means, collapsed, spread(*mean_std(last), 3) if last else "n/a"])
    return table


def _on_every_edge(proposals: Proposals) -> bool:
    return all(len(cells) == 1 and all(edge.operation for edge in cells[0].edges) for cells in proposals.cells.values())


def _count(cells: tuple[Cell, ...], kind: Kind) -> float:
    return float(sum(edge.operation is not None and edge.operation.kind == kind for cell in cells for edge in cell.edges))


def most_common(study: Study, traces: Traces) -> Drawing | None:
    """Draw, on benchmarks with a judge, the cell that most runs of each row of weight sharing ended with."""
    panels: list[Panel] = []
    drawn: list[Cell] = []
    legends: dict[str, None] = {}
    for benchmark in study.benchmarks:
        if study.untested(benchmark):
            continue
        for row in study.shared_weights(benchmark):
            proposals = _proposals(study, benchmark, row)
            if not proposals.texts:
                continue
            (text, count), *_ = Counter(proposals.texts).most_common(1)
            where = f" on {benchmark}" if len(study.benchmarks) > 1 else ""
            for cell in proposals.cells[text]:
                title = f"{_title(study.label(row) + where, cell)} ({count}/{len(proposals.texts)})"
                panels.append(Panel(title, "", "", _drawer(cell)))
                drawn.append(cell)
            legends[study.evidence.spaces[benchmark].legend] = None
    caption = (
        "Final cells of weight sharing: the one that most runs ended with, the first of equals; in brackets how many. "
        + " ".join(legends)
    )
    small = all(len(cell.nodes) <= SMALL_UP_TO for cell in drawn)
    return Drawing(render(study, panels, across=4, size=(3.1, 1.6 if small else 2.45)), caption) if panels else None


def first(study: Study, traces: Traces) -> Drawing | None:
    """Draw, where cells are trained from scratch, the cells that each row's first finished search proposed."""
    panels: list[Panel] = []
    spaces: dict[str, Space] = {}
    for benchmark in study.benchmarks:
        if not study.untested(benchmark):
            continue
        for row in study.rows(benchmark):
            _, cells = next(iter(study.cells(benchmark, row).values()), ("", ()))
            panels += [Panel(_title(study.label(row), cell), "", "", _drawer(cell)) for cell in cells]
            if cells:
                space = study.evidence.spaces[benchmark]
                spaces[space.title] = space
    caption = (
        f"Cells of the {' and of the '.join(spaces)}, as the first finished search of each row proposed them"
        + "".join(map(_explained, spaces.values()))
        + f" Nodes that nothing reaches are left out; more than {WORDS[LEGIBLE]} operations on an edge are counted."
    )
    return Drawing(render(study, panels, across=4), caption) if panels else None


def _title(row: str, cell: Cell) -> str:
    return f"{row}, {cell.name}" if cell.name else row


def _explained(space: Space) -> str:
    return (f": {space.cells}." if space.cells else ".") + f" {space.legend}"


class Look(NamedTuple):
    """How cells of one size are drawn."""

    height: float
    """Distance of nodes from the middle line; inner nodes are above and below it in turn."""
    input_height: float
    """The same for two inputs; a single input is on the line."""
    first: float
    """Distance between the inputs and the first inner node, and between the last one and the output."""
    step: float
    margins: tuple[float, float, float]
    """Space at the sides, below and above."""
    fonts: tuple[float, float]
    """Sizes of operations and of node labels, in points."""
    label: dict[str, Any]
    node: dict[str, Any]


SMALL = Look(
    height=0.0,
    input_height=0.0,
    first=1.0,
    step=1.0,
    margins=(0.4, 0.8, 1.3),
    fonts=(6, 7),
    label={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    node={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "black", "linewidth": 0.7},
)
LARGE = Look(
    height=0.9,
    input_height=0.8,
    first=1.1,
    step=0.9,
    margins=(0.5, 1.6, 1.6),
    fonts=(5, 6),
    label={"boxstyle": "round,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    node={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6},
)
SMALL_UP_TO = 4  # nodes
ARC = 0.55
"""Height of a small cell's edge for each node that it passes over."""
RADIUS = 0.2  # of a small cell's nodes
ABOVE = 0.16  # height of the name of a straight edge


def places(cell: Cell, look: Look) -> list[tuple[float, float]]:
    """Return (x, y) of every node: inputs at the left, then inner nodes above and below the middle line, then the output."""
    inner = len(cell.nodes) - cell.inputs - 1
    heights = [0.0] if cell.inputs == 1 else np.linspace(look.input_height, -look.input_height, cell.inputs).tolist()
    left = [(0.0, height) for height in heights]
    middle = [(look.first + node * look.step, look.height * (-1) ** node) for node in range(inner)]
    return [*left, *middle, (middle[-1][0] + look.first if middle else look.first, 0.0)]


def _drawer(cell: Cell) -> Callable[..., dict[str, Any]]:
    look = SMALL if len(cell.nodes) <= SMALL_UP_TO else LARGE

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        at = places(cell, look)
        panel.set_axis_off()
        panel.set_xlim(-look.margins[0], at[-1][0] + look.margins[0])
        panel.set_ylim(-look.margins[1], look.margins[2])
        labels: dict[tuple[int, int], list[str]] = {}
        for edge in cell.edges:
            if edge.operation is None or edge.operation.kind != "zero":
                names = labels.setdefault((edge.source, edge.target), [])
                names += [edge.operation.label] if edge.operation else []
        for (source, target), names in labels.items():
            _draw_edge(panel, cell, look, at, source, target, names)
        ends = {*range(cell.inputs), len(cell.nodes) - 1} | {end for edge in cell.edges for end in edge[:2]}
        for node in sorted(ends):
            panel.text(*at[node], cell.nodes[node], ha="center", va="center", fontsize=look.fonts[1], bbox=look.node)
        return {}

    return draw


def _draw_edge(
    panel: Axes, cell: Cell, look: Look, at: list[tuple[float, float]], source: int, target: int, names: list[str]
) -> None:
    (x0, y0), (x1, y1) = at[source], at[target]
    output = len(cell.nodes) - 1
    if look is SMALL:
        x, y = _arc(panel, at[source], at[target], ARC * (target - source - 1) * (1 if source < cell.inputs else -1))
    else:
        gaps = {name: 6 + 2 * max(len(cell.nodes[node]) - 3, 0) for name, node in (("shrinkA", source), ("shrinkB", target))}
        arrow: dict[str, Any] = {"arrowstyle": "->", "linewidth": 0.7, **gaps}  # a gap in points, larger for long labels
        passes = target == output and not names
        arrow |= {"linestyle": ":", "color": "0.5"} if passes else {"connectionstyle": "arc3,rad=0.12"}
        panel.annotate("", at[target], at[source], arrowprops=arrow)
        share = 0.3 + 0.1 * source  # names on crossing edges are at different places
        x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    text = "\n".join(names) if len(names) <= LEGIBLE else f"{len(names)} ops"
    if text:
        panel.text(x, y, text, ha="center", va="center", fontsize=look.fonts[0], bbox=look.label)


def _arc(panel: Axes, source: tuple[float, float], target: tuple[float, float], height: float) -> tuple[float, float]:
    """Draw an arrow on a curve that is ``height`` above its ends in the middle, and return the place of its name.

    The four nodes of a small cell are on a line. Edges from the input pass over nodes and all others below, so that none cross.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    middle = np.array([(source[0] + target[0]) / 2, (source[1] + target[1]) / 2 + 2 * height])
    ends = [np.array(end) + RADIUS * (middle - end) / np.hypot(*(middle - end)) for end in (source, target)]
    curve = Path([ends[0], middle, ends[1]], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
    panel.add_patch(FancyArrowPatch(path=curve, arrowstyle="->", mutation_scale=7, linewidth=0.8))
    return middle[0], (ends[0][1] + ends[1][1]) / 4 + middle[1] / 2 + (0 if height else ABOVE)
