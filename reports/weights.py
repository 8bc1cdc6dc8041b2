"""Maps of the weights at the end of a search (SparseNAS, figure 7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.study import Study
from harness.analysis.traces import Columns, Log, Traces
from reports.figures import Drawing, Panel, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def maps(study: Study, traces: Traces) -> Drawing | None:
    """Draw the absolute weights of each row's first run, a panel per table of decisions; None if none were logged."""
    panels = []
    for benchmark in study.benchmarks:
        space = study.evidence.spaces.get(benchmark)
        labels = {name: operation.label for name, operation in space.operations.items()} if space else {}
        for row in study.rows(benchmark):
            for name, table in tables(traces.of(benchmark, row).logs.get(0, {})).items():
                title = f"{study.label(row)}, {name} ({(table == 0).to_numpy().mean():.0%} zero)"
                panels.append(Panel(title, "", "edge", partial(_draw, table.rename(columns=labels))))
    text = (
        "Absolute weights on the operations (columns) of every edge (rows) at the end of each row's first search, white for "
        "zero, black for the largest of a panel; in brackets the share that is exactly zero."
    )
    return Drawing(render(study, panels), text) if panels else None


def tables(log: Columns) -> dict[str, pd.DataFrame]:
    """Return by decision its absolute weights, a line per edge and a column per option."""
    weights: dict[str, dict[str, dict[int, float]]] = {}
    for name, values in log.items():
        if name.startswith(Log.WEIGHT):
            decision, row, option = name.removeprefix(Log.WEIGHT).split("/")
            weights.setdefault(decision, {}).setdefault(option, {})[int(row)] = abs(float(values[-1]))
    return {decision: pd.DataFrame(options).sort_index() for decision, options in weights.items()}


def _draw(table: pd.DataFrame, panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    panel.imshow(table, cmap="Greys", vmin=0, aspect="auto", interpolation="nearest")
    panel.set_xticks(range(table.shape[1]), list(table.columns), rotation=30, fontsize=6, ha="right")
    panel.set_yticks(range(len(table)), [str(row) for row in table.index], fontsize=6)
    panel.grid(False)
    return {}
