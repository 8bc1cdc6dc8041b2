"""Where there is no optimum to regret: the test error of what was proposed, over solver calls and over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.figures import Drawing, Panel, Traces, band, panel_title, plain_logarithmic, render
from reports.formats import MISSING, probability, spread, target_name, with_interval
from reports.layout import Column, Table
from reports.statistics import holm, mean_std, paired
from reports.study import Study

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
        if (mine := _without_optimum(traces, benchmark, target))
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


def _without_optimum(traces: Traces, benchmark: str, target: str) -> Traces:
    mine = [one for one in traces if one["benchmark"] == benchmark and target in one.get("test", {}) and len(one["seconds"])]
    return [one for one in mine if target not in one["regret"] and np.isfinite(one["test"][target]).all()]


def _drawer(traces: Traces, target: str, budget: str) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row, look in looks.items():
            mine = [one for one in traces if one["row"] == row]
            if mine:
                times = [np.asarray(one[budget], dtype=float) for one in mine]
                errors = [100 - np.asarray(one["test"][target]) for one in mine]
                end = max(float(one["end"]) if budget == "seconds" else float(one["spent_queries"]) for one in mine)
                handles[row] = band(panel, times, errors, end, look)
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
        "difference from random search in points, Wilcoxon's signed-rank "
        "test, Holm's correction over the rows.",
        columns,
    )
    for target in study.targets(benchmark):
        mine = _without_optimum(traces, benchmark, target)
        limits = {one["world"]: one for one in mine if one["row"] == reference}
        if not limits:
            continue
        cells: dict[str, list[str]] = {}
        for budget in BUDGETS:
            reached = {row: _at(mine, row, target, budget, limits) for row in study.rows(benchmark)}
            found = {row: paired(values, reached[reference]) for row, values in reached.items() if row != reference}
            tested = {row: pair for row, pair in found.items() if pair is not None}
            corrected = dict(zip(tested, holm([pair.p for pair in tested.values()]), strict=True))
            for row, values in reached.items():
                text = spread(*mean_std(values.to_numpy())) if len(values) else MISSING
                pair = tested.get(row)
                versus = [with_interval(pair.difference, pair.interval, sign=True), probability(corrected[row])] if pair else []
                cells.setdefault(row, []).extend([str(len(values)), text, *(versus or [MISSING] * 2)])
        for row, texts in cells.items():
            table.add([study.label(row), target_name(target), *texts])
    return table if table.rows else None


def _at(traces: Traces, row: str, target: str, budget: str, limits: dict[int, dict[str, Any]]) -> pd.Series:
    """Test accuracy by world of the proposal in force once a row has spent its limit there."""
    found = {}
    for one in traces:
        if one["row"] == row and one["world"] in limits:
            limit = limits[one["world"]]["end" if budget == "seconds" else "spent_queries"]
            last = int(np.searchsorted(np.asarray(one[budget], dtype=float), limit, side="right")) - 1
            if last >= 0:
                found[one["world"]] = float(one["test"][target][last])
    return pd.Series(found, dtype=float)
