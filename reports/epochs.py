"""Weight sharing epoch by epoch: accuracy of the proposed cell and entropy of the weights, compared with a base method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports.figures import Drawing, Panel, panel_title, render
from reports.formats import MISSING, number, spread, with_interval
from reports.layout import Block, Column, Paragraph, Table
from reports.pairs import CORRECTED, correct, noted
from reports.statistics import Paired, mean_std, paired, student_quantile
from reports.study import Study
from reports.traces import Columns, Log, Search, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def families(study: Study, benchmark: str) -> dict[str, list[str]]:
    """Return the rows that are drawn together: by base row, the base row itself and the rows that are compared with it.

    The base row of ``gaea[lr=1]`` is found in this order:

    1. the base row with the same changed settings;
    2. the base row without changed settings;
    3. the base row with other settings, if it ran with one set of settings only.
    """
    ran = study.rows(benchmark)
    groups: dict[str, list[str]] = {}
    for row in ran:
        base = study.base(row)
        candidates = [candidate for candidate in ran if study.unchanged(candidate) == base]
        same = [candidate for candidate in candidates if candidate.partition("[")[2] == row.partition("[")[2]]
        likely = [*same, *[base] * (base in candidates), *(candidates if len(candidates) == 1 else ())]
        if likely:
            groups.setdefault(likely[0], [likely[0]]).append(row)
    return groups


def accuracy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the test accuracy of the cell proposed at each epoch (GAEA, figures 4 and 5)."""
    panels = [
        Panel(f"{panel_title(study, benchmark, target)}: {base}", "epoch", "test accuracy (%)", _lines(curves, 100.0))
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        for base, rows in families(study, benchmark).items()
        if len(curves := _curves(traces, benchmark, rows, lambda search, target=target: proposed(search, target).dropna())) > 1  # type: ignore[misc]
    ]
    text = (
        "Test accuracy, in percent, of the cell that a search proposed after each epoch, judged as in the table, never seen by "
        "the search. Each method is drawn with the method that it changes. Lines: mean over finished runs. Bands: 95 % "
        "interval of the mean at each epoch (Student t), none below 3 runs."
    )
    return Drawing(render(study, panels), text) if panels else None


def entropy(study: Study, traces: Traces) -> Drawing | None:
    """Draw the entropy of the architecture weights at each epoch (GAEA, figure 1)."""
    panels = [
        Panel(f"{benchmark}: {base}" if len(study.benchmarks) > 1 else base, "epoch", "entropy / ln |O|", _lines(curves, 1.0))
        for benchmark in study.benchmarks
        for base, rows in families(study, benchmark).items()
        if len(curves := _curves(traces, benchmark, rows, lambda search: logged(search.log, Log.ENTROPY))) > 1
    ]
    text = (
        "Entropy of the weights on operations after each epoch, mean over edges of −Σ p ln p / ln |O|: 1 where all operations "
        "weigh the same, 0 where one has everything. Methods without a distribution are not drawn. Lines and bands as above."
    )
    return Drawing(render(study, panels), text) if panels else None


def logged(log: Columns, name: str) -> pd.Series:
    """Return a logged column by epoch."""
    if Log.EPOCH not in log or name not in log:
        return pd.Series(dtype=float)
    values = pd.Series(np.asarray(log[name], dtype=float), np.asarray(log[Log.EPOCH], dtype=float)).dropna()
    return values.loc[lambda series: series.index > 0]


def proposed(search: Search, target: str) -> pd.Series:
    """Return the test accuracy of the proposal in force at the end of each epoch; empty if any epoch has no proposal."""
    ends = logged(search.log, Log.SECONDS)
    last = np.searchsorted(search.seconds, ends.to_numpy(), side="right") - 1
    if not len(ends) or (last < 0).any():
        return pd.Series(dtype=float)
    return pd.Series(search.test[target][last], ends.index)


def older(study: Study, benchmark: str) -> list[Block]:
    """Return a note about the searches that had no cell at their end, so that the proposal of an earlier epoch stays."""
    notes = []
    for row in study.rows(benchmark):
        flags = [logged(search.log, Log.PROPOSED) for search in study.evidence.traces.of(benchmark, row).logging()]
        stale = [
            (int(flag[flag > 0].index.max()), int(flag.index.max())) for flag in flags if (flag > 0).any() and not flag.iloc[-1]
        ]
        if stale:
            epochs, ends = ([f"{end}" for end in sorted(set(column))] for column in zip(*stale, strict=True))
            of = f"{', '.join(epochs)} of {', '.join(ends)}"
            notes.append(f"in {len(stale)} of {len(flags)} searches of {study.label(row)} the proposal is of epoch {of}")
    return [Paragraph(f"Older proposals: {'; '.join(notes)}. At its end such a search had no cell.")] if notes else []


def _curves(traces: Traces, benchmark: str, rows: Sequence[str], of: Callable[[Search], pd.Series]) -> dict[str, pd.DataFrame]:
    """Return by row a table (epochs, runs)."""
    by_row = {}
    for row in rows:
        curves = {search.world: of(search) for search in traces.of(benchmark, row).logging()}
        known = {world: curve for world, curve in curves.items() if len(curve)}
        if known:
            by_row[row] = pd.DataFrame(known).dropna()
    return by_row


def _lines(curves: dict[str, pd.DataFrame], largest: float) -> Callable[..., dict[str, Any]]:
    """Draw means with bands, clipped to the range from 0 to ``largest``."""

    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        handles = {}
        for row, table in curves.items():
            mean, runs = table.mean(axis=1), table.shape[1]
            if runs >= 3:
                half = student_quantile(0.975, runs - 1) * table.std(axis=1, ddof=1) / np.sqrt(runs)
                low, high = ((mean + side * half).clip(0, largest) for side in (-1, 1))
                panel.fill_between(table.index, low, high, color=looks[row]["color"], alpha=0.18, linewidth=0)
            (handles[row],) = panel.plot(mean.index, mean, markevery=max(len(mean) // 6, 1), **looks[row])
        return handles

    return draw


def discretised(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the supernet's accuracy before and after discretisation; None if no search logged both."""
    names = ["method", "runs", "before", "after", "after − before [95 %]"]
    table = Table(
        "Validation accuracy of the supernet after the last epoch, in percent: before discretisation, with the weights that "
        "the search found, and after it, with the operations of the final cell alone and the same parameters; mean ± standard "
        "deviation (ddof 0) over runs, and the paired difference.",
        [Column(name, right=name != "method") for name in names],
    )
    for row in study.rows(benchmark):
        ends = {
            search.world: (last(search.log, Log.SUPERNET_ACCURACY), last(search.log, Log.DISCRETISED_ACCURACY))
            for search in traces.of(benchmark, row).logging()
        }
        known = {world: pair for world, pair in ends.items() if None not in pair}
        before, after = (pd.Series({world: pair[side] for world, pair in known.items()}, dtype=float) for side in (0, 1))
        if known:
            pair = paired(after, before)
            difference = with_interval(pair.difference, pair.interval, sign=True) if pair else MISSING
            means = [spread(*mean_std(side.to_numpy())) for side in (before, after)]
            table.add([study.label(row), str(len(before)), *means, difference])
    return table if table.rows else None


def last(log: Columns, name: str) -> float | None:
    """Return the last finite value of a logged column."""
    values = np.asarray(log.get(name, []), dtype=float)
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def entropies(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the fall of the entropy with the base method's; None if no pair ran."""
    names = ["method", "base", "runs", "epochs", "entropy", "base's", "difference [95 %]", "p (Holm)", "falls faster"]
    names += ["at its end"]
    table = Table(
        "Entropy of the weights on operations (1: all the same), mean over the epochs that a method and its base have both, "
        f"and its paired difference over world seeds with Wilcoxon's signed-rank test, {CORRECTED}. Falls faster: the 95 % "
        "interval lies below 0 (yes), above it (no), or contains it (open). At its end: the method's "
        "entropy after its own last epoch. "
        "A method and its base may differ in more than the paper's change: their settings are listed below.",
        [Column(name, right=name not in ("method", "base", "falls faster")) for name in names],
    )
    falls = _falls(study, traces, benchmark)
    comparison = correct({fall.row: fall.pair for fall in falls}, "the entropy")
    for fall in falls:
        cells = [study.label(fall.row), study.label(fall.base)]
        if not fall.epochs:
            table.add([*cells, "0", *[MISSING] * 7])
            continue
        pair, faster, versus = fall.pair, "open", [MISSING, MISSING]
        if pair is not None:
            versus = [with_interval(pair.difference, pair.interval, 3, sign=True), comparison.cells(fall.row)[1]]
            if pair.interval is not None:
                faster = "yes" if pair.interval.high < 0 else "no" if pair.interval.low > 0 else "open"
        means = [number(mean_std(entropy.to_numpy())[0], 3) for entropy in (fall.ours, fall.theirs)]
        table.add([*cells, str(pair.n if pair else 0), str(fall.epochs), *means, *versus, faster, number(fall.end, 3)])
    table.caption += noted(comparison.remarks)
    return table if table.rows else None


class Fall(NamedTuple):
    """The entropy of a row and of its base, mean over the epochs that both have, by world."""

    row: str
    base: str
    epochs: int = 0
    """Number of common epochs; 0 if either has no entropy."""
    ours: pd.Series = pd.Series(dtype=float)
    theirs: pd.Series = pd.Series(dtype=float)
    pair: Paired | None = None
    end: float = float("nan")
    """Entropy of the row after its own last epoch, mean over runs."""


def _falls(study: Study, traces: Traces, benchmark: str) -> list[Fall]:
    falls = []
    for base, rows in families(study, benchmark).items():
        curves = _curves(traces, benchmark, rows, lambda search: logged(search.log, Log.ENTROPY))
        for row in rows[1:]:
            if base not in curves or row not in curves:
                falls.append(Fall(row, base))
                continue
            epochs = min(len(curves[base]), len(curves[row]))
            ours, theirs = (curves[name].iloc[:epochs].mean() for name in (row, base))
            end = float(curves[row].iloc[-1].mean())
            falls.append(Fall(row, base, epochs, ours, theirs, paired(ours, theirs), end))
    return falls
