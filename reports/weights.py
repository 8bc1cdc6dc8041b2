"""Maps of the weights at the end of a search (SparseNAS, figure 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.evidence import Operation
from reports.figures import Drawing, Panel, render
from reports.study import Study
from reports.traces import Columns, Log, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def maps(study: Study, traces: Traces) -> Drawing | None:
    """Draw the absolute weights of each row's first run, a panel per table of decisions; None if none were logged."""
    panels = []
    for benchmark in study.benchmarks:
        space = study.evidence.spaces.get(benchmark)
        for row in study.rows(benchmark):
            first = traces.of(benchmark, row).logs.get(0, {})
            for name, (options, table) in _tables(first).items():
                title = f"{study.label(row)}, {name} ({(table == 0).mean():.0%} zero)"
                panels.append(Panel(title, "", "edge", _draw(_labels(options, space.operations if space else {}), table)))
    text = (
        "Absolute weights on the operations (columns) of every edge (rows) at the end of each row's first search, white for "
        "zero, black for the largest of a panel; in brackets the share that is exactly zero."
    )
    return Drawing(render(study, panels), text) if panels else None


def _labels(options: list[str], operations: Mapping[str, Operation]) -> list[str]:
    return [operations[option].label if option in operations else option for option in options]


def _tables(log: Columns) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return by decision its options and absolute weights (rows, options)."""
    by_decision: dict[str, dict[tuple[int, str], float]] = {}
    for name, values in log.items():
        if name.startswith(Log.WEIGHT):
            decision, row, option = name.removeprefix(Log.WEIGHT).split("/")
            by_decision.setdefault(decision, {})[int(row), option] = abs(float(values[-1]))
    tables = {}
    for decision, weights in by_decision.items():
        rows, options = 1 + max(row for row, _ in weights), list(dict.fromkeys(option for _, option in weights))
        tables[decision] = options, np.array([[weights[row, option] for option in options] for row in range(rows)])
    return tables


def _draw(labels: list[str], table: np.ndarray) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        panel.imshow(table, cmap="Greys", vmin=0, aspect="auto", interpolation="nearest")
        panel.set_xticks(range(len(labels)), labels, rotation=30, fontsize=5, ha="right")
        panel.set_yticks(range(len(table)), [str(row) for row in range(len(table))], fontsize=5)
        panel.grid(False)
        return {}

    return draw
