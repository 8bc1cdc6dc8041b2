"""Regret at every epoch where a table does not hold all that may be proposed, and what regret is counted from.

What lies outside the table is missing, and not at random. So a mean is drawn only where every run's proposal is in the table;
elsewhere two bounds of it: as if each missing cell were the worst, or the best, of the recorded ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.epochs import logged, proposed
from reports.figures import Drawing, Panel, logarithmic, panel_title, render
from reports.formats import number, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def regret(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test regret of the cell proposed at each epoch (GAEA, figure 2); None where no benchmark states references."""
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
    return Drawing("regret_per_epoch", render(study, panels), text) if panels else None


def covered(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """The share of runs whose proposal is in the table, epoch by epoch; None where no method proposes at every epoch."""
    names = ["method", "target", "epochs", "in the table", "test regret"]
    table = Table(
        "Proposals of each epoch that the table holds: runs covered of all, over stretches of epochs with the same number. "
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
                whole = count == curve.shape[1]
                found = spread(*mean_std(values)) if whole else _between(*bounds(values, span), 2)
                table.add(
                    [study.label(row), target, f"{first:g}–{last:g}", f"{count}/{curve.shape[1]}", found],
                    rule=bool(table.rows) and first == curve.index[0],
                )
    return table if table.rows else None


def references(study: Study, benchmark: str) -> Table | None:
    """The errors that regret may be counted from, per split; None where the benchmark states none."""
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
    for one in stated:
        table.add([one["split"], one["name"], number(one["error"], 4), number(one["kept"])])
    return table


def _references(study: Study, benchmark: str) -> tuple[Mapping[str, Any], ...]:
    return next((part.references for part in study.parts(benchmark) if part.references), ())


def final(study: Study, benchmark: str, row: str, target: str) -> str:
    """Coverage of the last proposals and the bounds of their mean test accuracy; nothing where all are in the table."""
    known, runs = study.coverage(benchmark, row, target)
    if known == runs:
        return ""
    text = f"{known}/{runs} in the table"
    best, worst = (study.of_target(name, benchmark, target) for name in ("optimum", "worst"))
    if best is None or worst is None:
        return text
    low, high = bounds(best - study.judged(benchmark, row, target)["test"].to_numpy(dtype=float), best - worst)
    return f"{text}, {_between(best - high, best - low, 2)}"


def bounds(regrets: np.ndarray, span: float) -> tuple[float, float]:
    """The mean of regrets, a missing one (NaN) taken as 0, and taken as ``span``."""
    return float(np.nan_to_num(regrets, nan=0.0).mean()), float(np.nan_to_num(regrets, nan=span).mean())


def _partial(study: Study) -> Iterator[tuple[str, str, float]]:
    """Benchmarks that state references: with each target, and the largest regret of a recorded cell."""
    for benchmark in study.benchmarks:
        if _references(study, benchmark):
            for target in study.targets(benchmark):
                best, worst = (study.of_target(name, benchmark, target) for name in ("optimum", "worst"))
                if best is not None and worst is not None:
                    yield benchmark, target, best - worst


def _curves(study: Study, traces: Traces, benchmark: str, target: str) -> dict[str, pd.DataFrame]:
    """By row of a method that proposes at every epoch: regrets (epochs, runs), NaN where a cell is not in the table."""
    best = study.of_target("optimum", benchmark, target)
    found: dict[str, pd.DataFrame] = {}
    for row in study.rows(benchmark):
        mine = [one for one in traces.of(benchmark, row).logging() if target in one.test]
        curves = {one.world: best - proposed(one, target) for one in mine if len(logged(one.log, "epoch"))}
        known = {world: curve for world, curve in curves.items() if len(curve)}
        if known:
            table = pd.DataFrame(known)
            found[row] = table.loc[: min(curve.index[-1] for curve in known.values())]
    return found


def _stretches(counts: pd.Series) -> Iterator[tuple[float, float, int]]:
    """First and last epoch, and count, of each stretch of epochs with the same count."""
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
            whole = ~np.isnan(values).any(axis=1)
            mean = np.where(whole, values.mean(axis=1), np.nan)
            std = values.std(axis=1)
            colour = looks[row]["color"]
            panel.fill_between(table.index, (mean - std).clip(0), mean + std, color=colour, alpha=0.18, linewidth=0)
            if not whole.all():
                low, high = np.array([bounds(one, span) for one in values]).T
                # a bound reaches to the neighbouring epochs, so that a single one shows
                partly = ~whole | np.r_[~whole[1:], False] | np.r_[False, ~whole[:-1]]
                panel.fill_between(table.index, low, high, where=partly, color=colour, alpha=0.07, linewidth=0)
            (handles[row],) = panel.plot(table.index, mean, markevery=max(len(mean) // 6, 1), **looks[row])
        if not logarithmic(panel, 10.0):
            panel.set_ylim(bottom=0)
        return handles

    return draw
