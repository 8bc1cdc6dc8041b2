"""Maps of the weights that a search ended with (SparseNAS, figure 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import cells, genotypes
from reports.figures import Drawing, Panel, render
from reports.study import Study
from reports.traces import WEIGHT, Log, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = {**cells.SHORT, **genotypes.SHORT}


def maps(study: Study, traces: Traces) -> Drawing | None:
    """Draw the absolute weights of each row's first run, a panel per table of decisions; None where none were logged."""
    panels = []
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            first = traces.of(benchmark, row).logs.get(0, {})
            for name, (options, table) in _tables(first).items():
                panels.append(
                    Panel(f"{study.label(row)}, {name} ({(table == 0).mean():.0%} zero)", "", "edge", _draw(options, table))
                )
    text = (
        "Absolute weights on the operations (columns) of every edge (rows) at the end of each row's first search, white for "
        "zero, black for the largest of a panel; in brackets the share that is exactly zero."
    )
    return Drawing("weights", render(study, panels), text) if panels else None


def _tables(log: Log) -> dict[str, tuple[list[str], np.ndarray]]:
    """By decision, its options and absolute weights (rows, options)."""
    found: dict[str, dict[tuple[int, str], float]] = {}
    for name, values in log.items():
        if name.startswith(WEIGHT):
            decision, row, option = name.removeprefix(WEIGHT).split("/")
            found.setdefault(decision, {})[int(row), option] = abs(float(values[-1]))
    tables = {}
    for decision, weights in found.items():
        rows, options = 1 + max(row for row, _ in weights), list(dict.fromkeys(option for _, option in weights))
        tables[decision] = options, np.array([[weights[row, option] for option in options] for row in range(rows)])
    return tables


def _draw(options: list[str], table: np.ndarray) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        panel.imshow(table, cmap="Greys", vmin=0, aspect="auto", interpolation="nearest")
        panel.set_xticks(
            range(len(options)), [SHORT.get(option, option) for option in options], rotation=30, fontsize=5, ha="right"
        )
        panel.set_yticks(range(len(table)), [str(row) for row in range(len(table))], fontsize=5)
        panel.grid(False)
        return {}

    return draw
