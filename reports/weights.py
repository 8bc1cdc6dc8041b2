"""Maps of the weights at the end of a search (SparseNAS, figures 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.evidence import Cell, Space
from harness.analysis.study import Study
from harness.analysis.traces import Columns, Log, Traces
from reports.figures import Drawing, Panel, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 20
"""Edges above which a map has the width of a page."""


def maps(study: Study, traces: Traces) -> Drawing | None:
    """Draw the absolute weights of each row's first run, a panel per table of decisions; None if none were logged."""
    panels, edges = [], 0
    for benchmark in study.benchmarks:
        space = study.evidence.spaces.get(benchmark, Space(""))
        labels = {name: operation.label for name, operation in space.operations.items()}
        cell = next((drawn[0] for drawn in space.drawn.values()), None)
        for row in study.rows(benchmark):
            for name, table in tables(traces.of(benchmark, row).logs.get(0, {}), [*labels]).items():
                title = f"{study.label(row)}, {name} ({(table == 0).to_numpy().mean():.0%} zero)"
                entered = nodes(cell, table.shape[1]) if cell else {}
                x = "edge, by the node that it enters" if entered else "edge"
                panels.append(Panel(title, x, "", partial(_draw, table.rename(index=labels), entered)))
                edges = max(edges, table.shape[1])
    text = (
        "Absolute weights on the operations (rows) of every edge (columns) at the end of each row's first search, white for "
        "zero, black for the largest of a panel; in brackets the share that is exactly zero. The edges into a node stand "
        "together, in the order of the nodes that they leave."
    )
    across, size = (1, (6.2, 1.15)) if edges > WIDE else (2, (3.1, 1.6))
    return Drawing(render(study, panels, across, size), text) if panels else None


def tables(log: Columns, order: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """Return by decision its absolute weights, a line per option and a column per edge; options in this order come first."""
    weights: dict[str, dict[str, dict[int, float]]] = {}
    for name, values in log.items():
        if name.startswith(Log.WEIGHT):
            decision, edge, option = name.removeprefix(Log.WEIGHT).split("/")
            weights.setdefault(decision, {}).setdefault(option, {})[int(edge)] = abs(float(values[-1]))
    ordered = {
        decision: {name: options[name] for name in (*order, *options) if name in options}
        for decision, options in weights.items()
    }
    return {decision: pd.DataFrame(options).sort_index().T for decision, options in ordered.items()}


def nodes(cell: Cell, edges: int) -> dict[str, int]:
    """Return the nodes of a cell that has an edge from every earlier node to each one, with their numbers of edges.

    Empty if no such cell has this number of edges, or a single one.
    """
    entering = range(cell.inputs, len(cell.nodes))
    ends = [*accumulate(entering)]
    known = edges > 1 and edges in ends
    return {cell.nodes[node]: node for node in entering[: ends.index(edges) + 1]} if known else {}


def _draw(table: pd.DataFrame, entered: dict[str, int], panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    panel.imshow(table, cmap="Greys", vmin=0, aspect="auto", interpolation="nearest")
    panel.set_yticks(range(len(table)), list(table.index), fontsize=6)
    panel.tick_params(length=0)
    panel.grid(False)
    ends = [*accumulate(entered.values())]
    if entered:
        middles = [end - (count + 1) / 2 for end, count in zip(ends, entered.values(), strict=True)]
        panel.set_xticks(middles, list(entered), fontsize=6)
        panel.vlines([end - 0.5 for end in ends[:-1]], -0.5, len(table) - 0.5, color="tab:red", linewidth=0.8)
    else:
        panel.set_xticks(range(table.shape[1]), [str(edge) for edge in table.columns], fontsize=6)
    return {}
