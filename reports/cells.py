"""The cells that searches ended with: which operations they hold, and drawings of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.epochs import logged
from reports.figures import Drawing, Panel, render
from reports.formats import number, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EDGE = re.compile(r"(\w+)~(\d)")
SHORT = {"skip_connect": "skip", "nor_conv_1x1": "conv 1×1", "nor_conv_3x3": "conv 3×3", "avg_pool_3x3": "pool"}
PLACES = ((0.0, 0.0), (1.0, 0.75), (2.0, -0.75), (3.0, 0.0))
"""Where the nodes of a NAS-Bench-201 cell are drawn."""


def edges(text: str) -> list[tuple[int, int, str]]:
    """(source, target, operation) of a cell in NAS-Bench-201's spelling; nothing for other architectures."""
    if not text.startswith("|"):
        return []
    nodes = text.split("+")
    return [(int(source), target, op) for target, node in enumerate(nodes, 1) for op, source in _EDGE.findall(node)]


def _cells(study: Study, benchmark: str) -> dict[str, list[str]]:
    """By row of weight sharing, the final cells of its finished runs in the order of their worlds."""
    found = {}
    for row in study.shared_weights(benchmark):
        searches = study.searches(benchmark, row)
        done = searches[searches["status"] == "done"].sort_values("world")
        cells = [text for text in done["arch"] if isinstance(text, str) and edges(text)]
        if cells:
            found[row] = cells
    return found


def operations(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """How often each operation is in the final cells, skip connections first; None where no such cells are."""
    cells = _cells(study, benchmark)
    if not cells:
        return None
    columns = [Column("method", right=False), Column("runs"), Column("different cells")]
    columns += [Column("skip connections"), Column("none"), Column("pooling"), Column("convolutions"), Column("collapsed")]
    columns += [Column("entropy at the end")]
    table = Table(
        "Final cells of weight sharing: edges out of six that hold a skip connection, nothing, pooling or a convolution, mean "
        "± standard deviation (ddof 0) over finished runs. Collapsed: runs, in percent, whose cell has no convolution. "
        "Entropy: of the weights on operations in the last epoch, 1 where all are the same; n/a where a method has none.",
        columns,
    )
    for row, found in cells.items():
        counts = pd.DataFrame([Counter(op for *_, op in edges(text)) for text in found]).fillna(0)
        counts = counts.reindex(columns=[*counts, *(op for op in ("none", *SHORT) if op not in counts)], fill_value=0)
        convolutions = counts["nor_conv_1x1"] + counts["nor_conv_3x3"]
        columns_of = (counts["skip_connect"], counts["none"], counts["avg_pool_3x3"], convolutions)
        means = [spread(*mean_std(column.to_numpy(dtype=float)), 1) for column in columns_of]
        collapsed = number(100 * float((convolutions == 0).mean()), 0)
        mine = [logged(one.log, "entropy") for one in traces.of(benchmark, row).logging()]
        last = [float(one.iloc[-1]) for one in mine if len(one)]
        entropy = spread(*mean_std(last), 3) if last else "n/a"
        table.add([study.label(row), str(len(found)), str(len(set(found))), *means, collapsed, entropy])
    return table


def drawings(study: Study, traces: Traces) -> Drawing | None:
    """Draw the cell that each row of weight sharing ended with most often."""
    panels = []
    for benchmark in study.benchmarks:
        for row, found in _cells(study, benchmark).items():
            (text, count), *_ = Counter(found).most_common(1)
            where = f" on {benchmark}" if len(study.benchmarks) > 1 else ""
            panels.append(Panel(f"{study.label(row)}{where} ({count}/{len(found)})", "", "", _draw(text)))
    caption = (
        "Final cells of weight sharing: the one that most runs ended with, the first of equals; in brackets how many. Node 0 "
        "is the cell's input, node 3 its output; edges without a line hold nothing."
    )
    return Drawing("cells", render(study, panels, across=4), caption) if panels else None


def _draw(text: str) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        panel.set_axis_off()
        panel.set_xlim(-0.4, 3.4)
        panel.set_ylim(-1.3, 1.3)
        for source, target, op in edges(text):
            if op == "none":
                continue
            (x0, y0), (x1, y1) = PLACES[source], PLACES[target]
            step = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0) * 0.2
            panel.annotate("", (x1 - step[0], y1 - step[1]), (x0 + step[0], y0 + step[1]), arrowprops={"arrowstyle": "->"})
            share = 0.5 if (source, target) != (0, 3) else 0.3  # off the edge that crosses it
            look = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
            panel.text(
                x0 + share * (x1 - x0),
                y0 + share * (y1 - y0),
                SHORT.get(op, op),
                ha="center",
                va="center",
                fontsize=6,
                bbox=look,
            )
        for node, (x, y) in enumerate(PLACES):
            circle = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "black", "linewidth": 0.7}
            panel.text(x, y, str(node), ha="center", va="center", fontsize=7, bbox=circle)
        return {}

    return draw
