"""Regret at every epoch for tables that lack some cells, and the errors that regret may be counted from.

Missing cells are not missing at random. A mean is shown only if the proposals of all runs are in the table. Otherwise two
bounds are shown: every missing cell is taken as the worst, or as the best, recorded cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.epochs import logged, proposed
from reports.evidence import Reference, Run
from reports.figures import Drawing, Panel, logarithmic, panel_title, render
from reports.formats import number, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import Log, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test regret of the cell proposed at each epoch (GAEA, figure 2); None if no benchmark states references."""
    panels = [
        Panel(panel_title(study, benchmark, target), "epoch", "test regret (percentage points)", _lines(curves, span))
        for benchmark, target, span in _partial(study)
        if (curves := _curves(study, traces, benchmark, target))
    ]
    text = (
        "Test regret of the cell that a search proposed after each epoch, in percentage points against the best mean of the "
        "recorded set, never seen by the search. Lines: mean over finished runs; bands: one standard deviation (ddof 0); both "
        "only where every run's cell is in the table. Elsewhere a pale area: the mean, were each missing cell the worst or the "
        "best of those recorded. The regret is drawn on a logarithmic axis where the means span a factor of ten."
    )
    return Drawing(render(study, panels), text) if panels else None


def covered(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Count the runs whose proposal is in the table, by epoch; None if no method proposes at every epoch."""
    names = ["method", "target", "epochs", "in the table", "test regret"]
    table = Table(
        "Proposals of each epoch that are in the table: runs covered of all, over stretches of epochs with the same number. "
        "Test regret in points at the end of a stretch: mean ± standard deviation (ddof 0) where all are covered, else the "
        "bounds of the mean, the missing cells taken as the best or as the worst of those recorded.",
        [Column(name, right=name not in ("method", "target")) for name in names],
    )
    for name, target, span in _partial(study):
        if name != benchmark:
            continue
        for row, curve in _curves(study, traces, benchmark, target).items():
            for first, last, count in _stretches(curve.notna().sum(axis=1)):
                values = curve.loc[last].to_numpy(dtype=float)
                complete = count == curve.shape[1]
                regret = spread(*mean_std(values)) if complete else _between(*bounds(values, span), 2)
                table.add(
                    [study.label(row), target, f"{first:g}–{last:g}", f"{count}/{curve.shape[1]}", regret],
                    rule=bool(table.rows) and first == curve.index[0],
                )
    return table if table.rows else None


def references(study: Study, benchmark: str) -> Table | None:
    """Return the errors that regret may be counted from, per split; None if the benchmark states none."""
    stated = _references(study, benchmark)
    if not stated:
        return None
    names = ["split", "reference", "error (%)", "best cell's regret"]
    table = Table(
        "What regret is counted from. The headline, and every regret on this page, is against the best mean of a recorded "
        "cell's trainings. The original repository counts from the smallest error of a single training, which no mean reaches: "
        "against it the best cell keeps the regret of the last column, in points.",
        [Column(name, right=name not in ("split", "reference")) for name in names],
    )
    for reference in stated:
        table.add([reference.split, reference.name, number(reference.error, 4), number(reference.regret)])
    return table


def _references(study: Study, benchmark: str) -> tuple[Reference, ...]:
    return next((part.references for part in study.parts(benchmark) if part.references), ())


def final(study: Study, benchmark: str, row: str, target: str) -> str:
    """Return the test accuracy of the last proposals, mean ± std; coverage and bounds of the mean if the table lacks some."""
    known, runs = study.coverage(benchmark, row, target)
    if known == runs:
        return spread(*mean_std(study.test(benchmark, row, target)))
    text = f"{known}/{runs} in the table"
    best, worst = (study.of_target(name, benchmark, target) for name in ("optimum", "worst"))
    if best is None or worst is None:
        return text
    low, high = bounds(best - study.judged(benchmark, row, target)[Run.TEST].to_numpy(dtype=float), best - worst)
    return f"{text}, {_between(best - high, best - low, 2)}"


def bounds(regrets: np.ndarray, span: float) -> tuple[float, float]:
    """Return the mean of regrets with missing values (NaN) taken as 0, and taken as ``span``."""
    return float(np.nan_to_num(regrets, nan=0.0).mean()), float(np.nan_to_num(regrets, nan=span).mean())


def _partial(study: Study) -> Iterator[tuple[str, str, float]]:
    """Yield (benchmark, target, largest regret of a recorded cell) of benchmarks that state references."""
    for benchmark in study.benchmarks:
        if _references(study, benchmark):
            for target in study.targets(benchmark):
                best, worst = (study.of_target(name, benchmark, target) for name in ("optimum", "worst"))
                if best is not None and worst is not None:
                    yield benchmark, target, best - worst


def _curves(study: Study, traces: Traces, benchmark: str, target: str) -> dict[str, pd.DataFrame]:
    """Return by row that proposes at every epoch its regrets (epochs, runs); NaN if a cell is not in the table."""
    best = study.of_target("optimum", benchmark, target)
    by_row: dict[str, pd.DataFrame] = {}
    for row in study.rows(benchmark):
        searches = [search for search in traces.of(benchmark, row).logging() if target in search.test]
        searches = [search for search in searches if len(logged(search.log, Log.EPOCH))]
        curves = {search.world: best - proposed(search, target) for search in searches}
        known = {world: curve for world, curve in curves.items() if len(curve)}
        if known:
            table = pd.DataFrame(known)
            by_row[row] = table.loc[: min(curve.index[-1] for curve in known.values())]
    return by_row


def _stretches(counts: pd.Series) -> Iterator[tuple[float, float, int]]:
    """Yield first epoch, last epoch and count of each stretch of epochs with the same count."""
    for count, group in itertools.groupby(counts.items(), key=lambda item: item[1]):
        inside = [float(str(epoch)) for epoch, _ in group]
        yield inside[0], inside[-1], int(count)


def _between(low: float, high: float, digits: int) -> str:
    return f"{number(low, digits)} to {number(high, digits)}"


def _lines(curves: dict[str, pd.DataFrame], span: float) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row, table in curves.items():
            values = table.to_numpy(dtype=float)
            complete = ~np.isnan(values).any(axis=1)
            mean = np.where(complete, values.mean(axis=1), np.nan)
            std = values.std(axis=1)
            colour = looks[row]["color"]
            panel.fill_between(table.index, (mean - std).clip(0), mean + std, color=colour, alpha=0.18, linewidth=0)
            if not complete.all():
                low, high = np.array([bounds(regrets, span) for regrets in values]).T
                # a bound extends to the neighbouring epochs, so that a single epoch is visible
                partly = ~complete | np.r_[~complete[1:], False] | np.r_[False, ~complete[:-1]]
                panel.fill_between(table.index, low, high, where=partly, color=colour, alpha=0.07, linewidth=0)
            (handles[row],) = panel.plot(table.index, mean, markevery=max(len(mean) // 6, 1), **looks[row])
        if not logarithmic(panel, 10.0):
            panel.set_ylim(bottom=0)
        return handles

    return draw
