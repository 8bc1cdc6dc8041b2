"""Pruning of a network under penalties of growing strength (SparseNAS, figure 3): accuracy, and what remains of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from harness.analysis.pruning import TEST, by_penalty, stacked, values
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.traces import Log, Search, Traces
from reports.figures import Drawing, Lines, Panel, bands, render
from reports.formats import number, spread
from reports.layout import Column, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES: Final = {
    TEST: "test accuracy (%)",
    Log.INPUTS: "inputs",
    Log.NEURONS: "neurons",
    Log.SPARSITY: "pruned weights (%)",
}
"""By quantity, its label: all but the first are logged."""
PENALTIES: Final = {1.0: "Lasso", 0.0: "group Lasso"}
"""Names of the penalties with that share of the l1 term; all others are sparse group Lassos."""


def path(study: Study, traces: Traces) -> Drawing | None:
    """Draw each quantity over the strength: a column of panels per penalty, a line per row."""
    panels = [
        Panel(_title(share), "strength of the penalty, λ", label, _drawer(rows, quantity, target), quantity)
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        for quantity, label in QUANTITIES.items()
        for share, rows in by_penalty(study, traces, benchmark, target).items()
    ]
    text = (
        "Pruning under penalties of growing strength, a column of panels per penalty: test accuracy after a training from "
        "scratch, inputs and hidden neurons that remain, and pruned weights."
    )
    return Drawing(render(study, panels, across=3, size=(3.1, 1.9)), text) if panels else None


def table(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """List the quantities of each row at each strength; None if no search logged strengths."""
    heads = ["method", "λ", "runs", TEST, "inputs", "neurons", "pruned weights", "before training"]
    result = Table(
        "What remains of the network at each strength of the penalty. Test accuracy in percent, after a training from scratch.",
        [Column(head, right=head != "method") for head in heads],
    )
    for target in study.targets(benchmark):
        for rows in by_penalty(study, traces, benchmark, target).values():
            for row, searches in rows.items():
                columns = {name: stacked(searches, name, target) for name in (*QUANTITIES, Log.PRUNED_ACCURACY)}
                for index, strength in enumerate(values(searches[0], Log.STRENGTH, target)):
                    digits = {Log.INPUTS: 1, Log.NEURONS: 1}
                    cells = [spread(*mean_std(column[:, index]), digits.get(name, 2)) for name, column in columns.items()]
                    first = [study.label(row) if index == 0 else "", f"{strength:.0e}".replace("e-0", "e−"), str(len(searches))]
                    result.add([*first, *cells], rule=index == 0 and bool(result.rows))
    return result if result.rows else None


def _title(share: float) -> str:
    return PENALTIES.get(share, f"sparse group Lasso, α = {number(share, 1)}")


def _drawer(rows: dict[str, list[Search]], quantity: str, target: str) -> Callable[..., dict[str, Any]]:
    lines: Lines = {
        row: (values(searches[0], Log.STRENGTH, target), stacked(searches, quantity, target).T)
        for row, searches in rows.items()
    }

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = bands(lines, robust=False)(panel, looks)
        panel.set_xscale("log")
        return handles

    return draw
