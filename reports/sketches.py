"""Drawings of cells, legible in a column of a paper: nodes on a line, and edges as arcs above and below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.analysis.evidence import Cell
from reports import style
from reports.figures import ROW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, PAGE = 6.8, 9.0
"""Width of a figure and height of one of its pages at most, in inches, as are the other lengths."""
SMALL_UP_TO, LARGE_FROM = 4, 10
"""Nodes of a cell of which three are side by side, and of a cell that is as wide as a page; of other cells, two are."""
TITLE, MARGIN = 0.2, 0.08
FONT, LETTER, TEXT = 6.5, 0.052, 0.1
"""Size of text in points, width of a letter, and height of a line."""
BASE, STEP = 0.04, 0.17
"""Height of an arc, without and for each node that it passes, for labels of a single line."""
ABOVE = 0.025
"""Space between a level edge and its label."""
CLEAR = 0.025
"""Space between a label and the way of another edge."""
SHARES = np.array([0.5, 0.47, 0.53, 0.44, 0.56, 0.41, 0.59, 0.38, 0.62, 0.32, 0.68])
"""Shares of an arc at which its label may be, the first that is free."""
WAY = np.linspace(0, 1, 41)
"""Shares of an edge at which its way is compared with labels."""
APART = 0.3
"""Distance of an input from the line, if a cell has several."""
LEGIBLE = 3
"""Operations that are named on one edge; more are counted."""

Places = dict[int, tuple[float, float]]
Box = tuple[float, float, float, float]
"""X and y of the middle, width, height."""


class Sketch(NamedTuple):
    """A cell to draw, the row that proposed it, and its title."""

    row: str
    title: str
    cell: Cell


def reached(cell: Cell) -> Cell:
    """Return a cell without the edges that leave nodes which no path from an input reaches."""
    alive = {*range(cell.inputs)}
    for edge in sorted(cell.edges, key=lambda edge: edge.source):
        alive |= {edge.target} if edge.source in alive else set()
    return cell._replace(edges=tuple(edge for edge in cell.edges if edge.source in alive))


def _across(nodes: int) -> int:
    """Return how many cells of that many nodes are side by side."""
    return 3 if nodes <= SMALL_UP_TO else 2 if nodes < LARGE_FROM else 1


def labels(cell: Cell) -> dict[tuple[int, int], str]:
    """Return by edge the names of its operations, a name per line. Edges without an operation are left out."""
    names: dict[tuple[int, int], list[str]] = {}
    for edge in cell.edges:
        if edge.operation is None or edge.operation.kind != "zero":
            names.setdefault((edge.source, edge.target), []).extend([edge.operation.label] if edge.operation else [])
    return {ends: "\n".join(texts) if len(texts) <= LEGIBLE else f"{len(texts)} ops" for ends, texts in names.items()}


def arcs(cell: Cell) -> dict[tuple[int, int], float]:
    """Return by edge the height of its middle above the straight line between its ends; negative below it.

    The height grows with the number of nodes that the edge passes, so that arcs of one side cross only where their ends
    alternate. The first input's arcs are above, those of a second input below, each other one where it crosses fewer arcs.
    """
    texts = labels(cell)
    lines = 1 + max((text.count("\n") for text in texts.values()), default=0)
    tall = max(_size(name)[1] for name in cell.nodes) / 2
    heights: dict[tuple[int, int], float] = {}
    columns = _columns(cell)
    gathered = {(node, len(cell.nodes) - 1) for node in _gathered(cell)}
    for source, target in sorted(texts.keys() - gathered, key=lambda ends: (ends[0] >= cell.inputs, ends[0] - ends[1], ends)):
        start, end = columns[source], columns[target]
        rivals = [height for ends, height in heights.items() if _alternate(start, end, *(columns[node] for node in ends))]
        above = source == 0 or sum(height < 0 for height in rivals) > sum(height > 0 for height in rivals)
        passed = end - start - 1
        height = tall + BASE + (STEP + (lines - 1) * TEXT) * passed if passed else 0.0
        heights[source, target] = height if above else -height
    return heights


def _alternate(start: int, end: int, other_start: int, other_end: int) -> bool:
    return start < other_start < end < other_end or other_start < start < other_end < end


def _columns(cell: Cell) -> dict[int, int]:
    """Return by drawn node its place on the line: inputs and output, and the nodes with edges; all inputs are at the first."""
    nodes = {*range(cell.inputs), len(cell.nodes) - 1} | {end for edge in cell.edges for end in edge[:2]}
    return {node: max(place - cell.inputs + 1, 0) for place, node in enumerate(sorted(nodes))}


def _size(name: str) -> tuple[float, float]:
    """Return width and height of a node's box."""
    lines = name.split()
    return LETTER * max(map(len, lines), default=0) + 0.1, TEXT * len(lines) + 0.06


def _places(cell: Cell, width: float) -> Places:
    """Return (x, y) of every drawn node of a cell of that width."""
    columns = _columns(cell)
    wide = max(_size(cell.nodes[node])[0] for node in columns) + 1.6 * MARGIN
    gap = (width - wide) / max(columns.values())
    heights = dict(enumerate(np.linspace(APART, -APART, cell.inputs).tolist() if cell.inputs > 1 else [0.0]))
    return {node: (wide / 2 + gap * column, heights.get(node, 0.0)) for node, column in columns.items()}


def curves(cell: Cell, places: Places) -> dict[tuple[int, int], np.ndarray]:
    """Return by edge start, control point and end of a quadratic Bézier curve whose middle is at the height of its arc."""
    heights = arcs(cell)
    if not heights:
        return {}
    starts, ends = (np.array([places[edge[side]] for edge in heights]) for side in (0, 1))
    x, y = (ends - starts).T
    across = np.stack([-y, x], 1) * (2 * np.array([*heights.values()]) / np.hypot(x, y))[:, None]
    return dict(zip(heights, np.stack([starts, (starts + ends) / 2 + across, ends], 1), strict=True))


def points(bezier: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the points (..., shares, 2) at some shares of the way of curves (..., 3, 2)."""
    way: np.ndarray = np.stack([(1 - shares) ** 2, 2 * shares * (1 - shares), shares**2], axis=1) @ bezier
    return way


def label_boxes(cell: Cell, places: Places) -> dict[tuple[int, int], Box]:
    """Return by edge the box of its label, where fewest other edges pass.

    A label is on its own arc, which it interrupts, or above or below a level edge.
    """
    drawn, names, heights = curves(cell, places), labels(cell), arcs(cell)
    ways = points(np.array([*drawn.values()]).reshape(-1, 3, 2), WAY)
    boxes: dict[tuple[int, int], Box] = {}
    for index, (edge, bezier) in enumerate(drawn.items()):
        lines = names[edge].split("\n")
        size = np.array([LETTER * max(map(len, lines)), TEXT * len(lines)])
        level = not heights[edge] and bezier[0, 1] == bezier[2, 1]
        middles = points(bezier, SHARES)
        up = np.array([0.0, size[1] / 2 + ABOVE])
        middles = np.concatenate([middles + up, middles - up]) if level else middles
        others = np.delete(ways, index, axis=0).reshape(-1, 2)
        filled = np.array([*boxes.values(), *((*place, *_size(cell.nodes[node])) for node, place in places.items())])
        crossed = (np.abs(others - middles[:, None]) < size / 2 + CLEAR).all(axis=2).sum(axis=1)
        covered = (np.abs(filled[:, :2] - middles[:, None]) < (filled[:, 2:] + size) / 2).all(axis=2).sum(axis=1)
        x, y = middles[int(np.argmin(crossed + covered * len(WAY)))].tolist()
        boxes[edge] = x, y, *size.tolist()
    return boxes


def _span(cell: Cell, places: Places, boxes: Mapping[tuple[int, int], Box]) -> tuple[float, float]:
    """Return how far the drawing of a cell is below and above its line."""
    edges = [y for _, y in places.values()]
    edges += [y for bezier in curves(cell, places).values() for y in points(bezier, WAY)[:, 1].tolist()]
    edges += [y + side * tall / 2 for _, y, _, tall in boxes.values() for side in (-1, 1)]
    tall = max(_size(name)[1] for name in cell.nodes) / 2
    gathers = tall if _gathered(cell) else 0.0
    return -min(min(edges), -tall) + gathers + MARGIN, max(max(edges), tall) + MARGIN


def _gathered(cell: Cell) -> list[int]:
    """Return the nodes whose edges to the output carry no operation, in a cell whose other edges do."""
    texts = labels(cell)
    output = len(cell.nodes) - 1
    return [source for source, target in texts if target == output and not texts[source, target]] if any(texts.values()) else []


def outline(cell: Cell) -> dict[str, Any]:
    """Return what a page draws of a cell, in hundredths of an inch from the upper left corner, with its name.

    ``size``: width and height; ``nodes``: x and y of the middle, width, height, name; ``lines``: an SVG path, whether it is
    dotted, and x, y, width and text of its label.
    """
    cell = reached(cell)
    width = WIDTH / _across(len(cell.nodes))
    places = _places(cell, width)
    texts, boxes, gathered = labels(cell), label_boxes(cell, places), _gathered(cell)
    below, above = _span(cell, places, boxes)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(100 * x), round(100 * (above - y))

    lines: list[list[Any]] = []
    for edge, bezier in curves(cell, places).items():
        start, middle, end = (" ".join(map(str, at(*point))) for point in bezier.tolist())
        x, y, wide, _ = boxes[edge]
        lines.append([f"M{start}Q{middle} {end}", False, *at(x, y), round(100 * wide), texts[edge]])
    if gathered:
        ends = [at(*places[node]) for node in (*gathered, len(cell.nodes) - 1)]
        bottom = round(100 * (above + below - MARGIN))
        down = "".join(f"M{x} {y}V{bottom}" for x, y in ends)
        lines.append([f"{down}M{min(ends)[0]} {bottom}H{max(ends)[0]}", True, 0, 0, 0, ""])
    nodes = [[*at(x, y), *(round(100 * side) for side in _size(cell.nodes[n])), cell.nodes[n]] for n, (x, y) in places.items()]
    return {"name": cell.name, "size": [round(100 * width), round(100 * (above + below))], "nodes": nodes, "lines": lines}


def render(drawn: Sequence[Sketch]) -> dict[str, bytes]:
    """Return the drawings as PNG and SVG, and as PDF with as many pages as they need."""
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    drawn = [sketch._replace(cell=reached(sketch.cell)) for sketch in drawn]
    across = _across(max(len(sketch.cell.nodes) for sketch in drawn))
    width = WIDTH / across
    laid = [(sketch.cell, _places(sketch.cell, width)) for sketch in drawn]
    spans = [_span(cell, places, label_boxes(cell, places)) for cell, places in laid]
    below, above = (max(span[side] for span in spans) for side in (0, 1))
    down = max(int(PAGE / (below + above + TITLE)), 1)
    files = {}
    with matplotlib.rc_context(style.SETTINGS):
        sheet = _sheet(drawn, across, below, above)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            stream = BytesIO()
            sheet.savefig(stream, format=kind, dpi=200, metadata=metadata)
            files[kind] = stream.getvalue()
        stream = BytesIO()
        with PdfPages(stream, metadata={"CreationDate": None}) as pages:
            for start in range(0, len(drawn), across * down):
                pages.savefig(_sheet(drawn[start : start + across * down], across, below, above))
        files["pdf"] = stream.getvalue()
    return files


def _sheet(drawn: Sequence[Sketch], across: int, below: float, above: float) -> Figure:
    """Return a figure whose axes are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = WIDTH / across, below + above + TITLE
    total = height * -(-len(drawn) // across)
    figure = Figure(figsize=(WIDTH, total))
    FigureCanvasAgg(figure)
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set(xlim=(0, WIDTH), ylim=(0, total))
    panel.set_axis_off()
    for index, sketch in enumerate(drawn):
        left, top = width * (index % across), total - height * (index // across)
        size = min(FONT + 1, (width - 2 * MARGIN) / (LETTER * len(sketch.title)) * FONT)
        title = panel.text(left + MARGIN, top - MARGIN, sketch.title, va="top", fontsize=size, parse_math=False)
        title.set_gid(f"{ROW}{sketch.row}")
        places = {node: (left + x, top - TITLE - above + y) for node, (x, y) in _places(sketch.cell, width).items()}
        _draw(panel, sketch.cell, places, top - height + MARGIN)
    return figure


def _draw(panel: Axes, cell: Cell, places: Places, bottom: float) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    boxes = {}
    for node, (x, y) in places.items():
        (wide, tall), name = _size(cell.nodes[node]), "\n".join(cell.nodes[node].split())
        shape = f"round,pad=0,rounding_size={min(wide, tall) / 2 if len(name) == 1 else 0.04}"
        box = FancyBboxPatch((x - wide / 2, y - tall / 2), wide, tall, shape, fc="white", ec="black", lw=0.7, zorder=3)
        boxes[node] = panel.add_patch(box)
        panel.text(x, y, name, ha="center", va="center", fontsize=FONT, zorder=4, linespacing=0.95)
    gathered, texts, output = _gathered(cell), labels(cell), len(cell.nodes) - 1
    boxed = label_boxes(cell, places)
    for (source, target), height in arcs(cell).items():
        start, end = np.array(places[source]), np.array(places[target])
        bend = f"arc3,rad={-2 * height / np.hypot(*(end - start)):.4f}"
        ends: dict[str, Any] = {"patchA": boxes[source], "patchB": boxes[target], "shrinkA": 0, "shrinkB": 0}
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 5, "lw": 0.8, "fc": "black"}
        look |= {"ls": ":"} if target == output and not texts[source, target] else {}
        panel.add_patch(FancyArrowPatch(places[source], places[target], connectionstyle=bend, **ends, **look))
        x, y, *_ = boxed[source, target]
        label = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"} if height or start[1] != end[1] else None
        text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": FONT, "linespacing": 0.95}
        panel.text(x, y, texts[source, target], bbox=label, zorder=2, **text)
    if gathered:
        line: dict[str, Any] = {"color": "0.5", "lw": 0.8, "ls": ":", "zorder": 0}
        xs = [places[node][0] for node in (*gathered, output)]
        panel.plot([min(xs), max(xs)], [bottom, bottom], **line)
        for x in xs:
            panel.plot([x, x], [bottom, places[output][1]], **line)
