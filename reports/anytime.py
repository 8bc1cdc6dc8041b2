"""Where there is no optimum to regret: the test error of what was proposed, over solver calls and over time."""

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
"""What a search spends, by its name in the traces, and how an axis calls it."""


def error(study: Study, traces: Traces) -> Drawing | None:
    """Draw test error against solver calls and against time, a pair of panels per benchmark and target."""
    panels = [
        Panel(panel_title(study, benchmark, target), label, "test error (%)", _drawer(mine, target, budget))
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        if (mine := _without_optimum(study, traces, benchmark, target))
        for budget, label in BUDGETS.items()
    ]
    if not panels:
        return None
    text = (
        "Test error of the proposal in force, in percent, over solver calls and over charged search seconds (logarithmic). "
        "The proposal is tested by a classifier of its own, trained outside the search. Lines: mean over finished runs, from "
        "the first moment at which every run has a proposal to the end of the longest. Bands: pointwise 95 % interval of the "
        "mean (Student t), none below 3 runs, cut off where they leave the range of the means."
    )
    return Drawing("error", render(study, panels, across=2), text)


def _without_optimum(study: Study, traces: Traces, benchmark: str, target: str) -> dict[str, RowTraces]:
    """By row, the searches judged on a target whose best nobody knows; no search with a proposal that has no record."""
    best = study.of_target("optimum", benchmark, target)
    if best is not None and np.isfinite(best):
        return {}
    found = {}
    for row in study.rows(benchmark):
        mine = traces.of(benchmark, row).proposing(target)
        if len(mine):
            mine = mine.where(np.minimum.reduceat(np.isfinite(mine.test[target]), mine.starts[:-1]))
        if len(mine):
            found[row] = mine
    return found


def _drawer(searches: dict[str, RowTraces], target: str, budget: str) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row, mine in searches.items():
            times, ends = _spent(mine, budget)
            handles[row] = band(panel, mine, times, 100 - mine.test[target], float(ends.max()), looks[row])
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis, *panel.get_xlim())
        means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in panel.lines])
        margin = max(0.08 * float(np.ptp(means)), 0.5)
        panel.set_ylim(max(means.min() - margin, 0.0), min(means.max() + margin, 100.0))
        return handles

    return draw


def equal_budget(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Every row at what random search spent in the same world, in solver calls and in seconds; None where there is none."""
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
        mine = _without_optimum(study, traces, benchmark, target)
        if reference not in mine:
            continue
        cells: dict[str, list[str]] = {}
        for budget in BUDGETS:
            limits = dict(zip(mine[reference].worlds.tolist(), _spent(mine[reference], budget)[1].tolist(), strict=True))
            reached = {row: _at(mine.get(row), target, budget, limits) for row in study.rows(benchmark)}
            others = {row: values for row, values in reached.items() if row != reference}
            found = compare(others, reached[reference], target_name(target))
            remarks += found.remarks
            for row, values in reached.items():
                text = spread(*mean_std(values.to_numpy())) if len(values) else MISSING
                cells.setdefault(row, []).extend([str(len(values)), text, *found.cells(row)])
        for row, texts in cells.items():
            table.add([study.label(row), target_name(target), *texts])
    table.caption += noted(remarks)
    return table if table.rows else None


def _spent(searches: RowTraces, budget: str) -> tuple[np.ndarray, np.ndarray]:
    """Return when proposals change (flat) and what each search spent in all, in one currency."""
    if budget == "seconds":
        return searches.seconds, searches.end
    return searches.queries, searches.spent_queries


def _at(searches: RowTraces | None, target: str, budget: str, limits: dict[int, float]) -> pd.Series:
    """Test accuracy by world of the proposal in force once a row has spent its limit there."""
    if searches is None:
        return pd.Series(dtype=float)
    allowed = pd.Series(searches.worlds).map(limits).to_numpy(dtype=float)  # NaN, which nothing reaches, without a limit
    last = searches.in_force(_spent(searches, budget)[0], allowed)
    return pd.Series(searches.test[target][last[last >= 0]], searches.worlds[last >= 0])
