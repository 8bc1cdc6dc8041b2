"""The test error of proposals over solver calls and over time, for targets without a known optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.figures import Drawing, Panel, band, panel_title, plain_logarithmic, render
from reports.formats import MISSING, spread, target_name
from reports.layout import Column, Table
from reports.pairs import compare, noted
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import RowTraces, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUDGETS = {"queries": "solver calls", "seconds": "charged search time (s)"}
"""By currency, the label of its axis."""


def error(study: Study, traces: Traces) -> Drawing | None:
    """Draw test error against solver calls and against time, a pair of panels per benchmark and target."""
    panels = [
        Panel(panel_title(study, benchmark, target), label, "test error (%)", _drawer(searches, target, budget))
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        if (searches := _without_optimum(study, traces, benchmark, target)) and _spent_anything(searches)
        for budget, label in BUDGETS.items()
    ]
    if not panels:
        return None
    text = (
        "Test error of the proposal in force, in percent, over solver calls and over charged search seconds (logarithmic). "
        "A separate classifier, trained outside the search, tests the proposal. Lines: mean over finished runs, from "
        "the first moment at which every run has a proposal to the end of the longest. Bands: pointwise 95 % interval of the "
        "mean (Student t), none below 3 runs, cut off where they leave the range of the means."
    )
    return Drawing(render(study, panels, across=2), text)


def _without_optimum(study: Study, traces: Traces, benchmark: str, target: str) -> dict[str, RowTraces]:
    """Return by row the searches judged on a target with unknown optimum, without those with an unrecorded proposal."""
    best = study.of_target("optimum", benchmark, target)
    if best is not None and np.isfinite(best):
        return {}
    by_row = {}
    for row in study.rows(benchmark):
        searches = traces.of(benchmark, row).proposing(target)
        if len(searches):
            searches = searches.where(np.minimum.reduceat(np.isfinite(searches.test[target]), searches.starts[:-1]))
        if len(searches):
            by_row[row] = searches
    return by_row


def _spent_anything(by_row: dict[str, RowTraces]) -> bool:
    """Return whether any search was charged solver calls or seconds, and not other currencies alone."""
    return any(spent(searches, budget)[1].any() for searches in by_row.values() for budget in BUDGETS)


def _drawer(by_row: dict[str, RowTraces], target: str, budget: str) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row, searches in by_row.items():
            times, ends = spent(searches, budget)
            handles[row] = band(panel, searches, times, 100 - searches.test[target], float(ends.max()), looks[row])
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
        means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in panel.lines])
        margin = max(0.08 * float(np.ptp(means)), 0.5)
        panel.set_ylim(max(means.min() - margin, 0.0), min(means.max() + margin, 100.0))
        return handles

    return draw


def equal_budget(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare every row at the budget that random search spent in the same world; None if random search did not run."""
    reference = study.reference(benchmark)
    if reference is None:
        return None
    columns = [Column("method", right=False), Column("target", right=False)]
    for group in ("at equal solver calls", "at equal seconds"):
        columns += [Column(name, group) for name in ("n", "test", "difference [95 %]", "p (Holm)")]
    table = Table(
        "Test accuracy, in percent, of the proposal in force when a search had spent what "
        f"{study.label(reference)} spent in all in the same world: exactly what it would have returned under that budget. "
        "Mean ± standard deviation (ddof 0) over the n worlds in which it had a proposal by then; paired "
        "difference from random search in points, Wilcoxon's signed-rank test, Holm's correction per target over the rows "
        "without a variant name and, apart from them, over the rows with one.",
        columns,
    )
    remarks: list[str] = []
    for target in study.targets(benchmark):
        searches = _without_optimum(study, traces, benchmark, target)
        if reference not in searches:
            continue
        cells: dict[str, list[str]] = {}
        for budget in BUDGETS:
            _, ends = spent(searches[reference], budget)
            limits = dict(zip(searches[reference].worlds.tolist(), ends.tolist(), strict=True))
            nothing = pd.Series(dtype=float)
            reached = {
                row: row_searches.at(target, spent(row_searches, budget)[0], limits) if row_searches else nothing
                for row, row_searches in ((row, searches.get(row)) for row in study.rows(benchmark))
            }
            compared = {row: values for row, values in reached.items() if row != reference}
            comparison = compare(compared, reached[reference], target_name(target))
            remarks += comparison.remarks
            for row, values in reached.items():
                text = spread(*mean_std(values.to_numpy())) if len(values) else MISSING
                cells.setdefault(row, []).extend([str(len(values)), text, *comparison.cells(row)])
        for row, texts in cells.items():
            table.add([study.label(row), target_name(target), *texts])
    table.caption += noted(remarks)
    return table if table.rows else None


def spent(searches: RowTraces, budget: str) -> tuple[np.ndarray, np.ndarray]:
    """Return in one currency the cost at each change of a proposal (flat) and the total cost of each search."""
    if budget == "seconds":
        return searches.seconds, searches.end
    return searches.queries, searches.spent_queries
