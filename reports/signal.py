"""How well shared weights rank architectures, and the cost of choosing by the training loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports import published as papers
from reports.evidence import Training
from reports.figures import Drawing, Panel, render
from reports.formats import MISSING, number, probability, target_name, with_interval
from reports.layout import Cited, Column, Table
from reports.pairs import correct, noted
from reports.statistics import Interval, kendall, mean_interval, mean_std, paired, rank_correlation
from reports.study import Study
from reports.traces import SHARED, SHARED_LOSS, Log, Search, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clouds = dict[tuple[str, str, int], list[np.ndarray]]
"""By benchmark, row and number of features: for each run the accuracies (2, architectures), shared and own."""


def clouds(study: Study, traces: Traces) -> Clouds:
    clouds: Clouds = {}
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            for search in traces.of(benchmark, row).logging():
                for features, pair in by_features(search).items():
                    clouds.setdefault((benchmark, row, features), []).append(pair)
    return dict(sorted(clouds.items()))


def by_features(search: Search) -> dict[int, np.ndarray]:
    """Return by number of features, ascending, the logged accuracies (2, architectures), shared and own; empty without them."""
    names = (Log.FEATURES, Log.SHARED_ACCURACY, Log.OWN_ACCURACY)
    if not search.log.keys() >= set(names):
        return {}
    features, shared, own = (np.asarray(search.log[name]) for name in names)
    return {int(count): np.array([shared[features == count], own[features == count]]) for count in np.unique(features)}


def signal(study: Study, traces: Traces) -> Drawing | None:
    """Draw accuracy under shared weights against accuracy under own weights, a panel per number of features."""
    panels = [
        Panel(
            f"{benchmark}, {number(features, 0)} features",
            "own weights: validation (%)",
            "shared weights: validation (%)",
            _scatter(row, runs),
        )
        for (benchmark, row, features), runs in clouds(study, traces).items()
    ]
    if not panels:
        return None
    text = (
        "Validation accuracy under weights that were trained for all architectures at once, against that of weights "
        "trained for one alone; every point is an architecture in one of the runs. The table lists rank correlations."
    )
    return Drawing(render(study, panels), text)


def _scatter(row: str, runs: list[np.ndarray]) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        shared, own = np.concatenate(runs, axis=1)
        look = {**looks[row], "linestyle": "none", "alpha": 0.5, "markersize": 3}
        return {row: panel.plot(own, shared, **look)[0]}

    return draw


def correlations(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Return Spearman's rank correlation between the two accuracies, per number of features; None if no search logged them."""
    names = ["method", "features", "runs", "architectures", "Spearman [95 %]", "best shared", "best own"]
    table = Table(
        "Signal of shared weights: rank correlation, over the architectures of a run, between validation accuracy under "
        "shared weights and under own weights; mean over runs with its 95 % interval (Student t, within [−1, 1], "
        "none below 3 runs). Best shared: the own accuracy, in percent, of the cell that shared weights rank first; best own: "
        "the best.",
        [Column(name, right=name != "method") for name in names],
    )
    for (name, row, features), runs in clouds(study, traces).items():
        if name == benchmark:
            ranks = [rank_correlation(pair[0], pair[1]) for pair in runs]
            chosen = [float(pair[1][pair[0].argmax()]) for pair in runs]
            best = [float(pair[1].max()) for pair in runs]
            sizes = sorted({pair.shape[1] for pair in runs})
            counts = [number(features, 0), str(len(runs)), ", ".join(map(str, sizes)), _mean_correlation(ranks)]
            table.add([study.label(row), *counts, number(mean_std(chosen)[0]), number(mean_std(best)[0])])
    return table if table.rows else None


def _mean_correlation(values: list[float]) -> str:
    """Format the mean over runs with its interval, clipped to the range of a correlation."""
    interval = mean_interval(values)
    within = interval and Interval(max(interval.low, -1.0), min(interval.high, 1.0))
    return with_interval(mean_std(values)[0], within)


class Ranked(NamedTuple):
    """The probed cells of one run, under shared weights and by themselves."""

    shared: np.ndarray
    """Accuracies under shared weights, percent."""
    own: np.ndarray
    """Accuracies under own weights, percent."""
    by_shared: np.ndarray
    """Numbers that rank the cells under shared weights, the best cell highest: accuracies, or losses with a minus."""
    by_own: np.ndarray
    """The same under own weights."""


class Source(NamedTuple):
    """Where the own accuracies of a row's probed cells are from."""

    row: str
    text: str
    printed_on: str = ""
    """The data set on which papers print such a correlation: that of the test losses."""


def ranking(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare a supernet's ranking of random cells with their own accuracies and losses; None if no search probed cells."""
    names = ["method", "own accuracy", "runs", "cells", "Kendall τ [95 %]", "p", "Spearman [95 %]", "shared"]
    names += ["best shared", "best own"]
    rankings = probed(study, traces, benchmark)
    printed = {source: _printed(study, benchmark, source) for source in rankings}
    table = Table(
        "Random cells under the weights that a search shares between all cells, against the same cells by themselves (CoNAS, "
        "A.4): rank correlations over the cells of a run, mean over runs with its 95 % interval (Student t, within [−1, 1], "
        "none below 3 runs); p is two-sided, of one run; of several runs the smallest and the largest. Cells are ranked by "
        "their accuracies, or by their losses if the line says so. Shared: mean validation accuracy of the cells under the "
        "shared weights, in percent; best shared: the own accuracy of the cell that they rank first; best own: that of the "
        "cell that own weights rank first.",
        [Column(name, right=name not in names[:2]) for name in names]
        + ([Column("published τ", right=False)] if any(printed.values()) else []),
    )
    if any(printed.values()):
        table.caption += " Published τ: the correlation that a paper prints for the row, with its conditions."
    for source, runs in rankings.items():
        taus, ps = zip(*(kendall(run.by_shared, run.by_own) for run in runs), strict=True)
        rhos = [rank_correlation(run.by_shared, run.by_own) for run in runs]
        cells = ", ".join(map(str, sorted({len(run.own) for run in runs})))
        chosen = [float(run.own[run.by_shared.argmax()]) for run in runs]
        best = [float(run.own[run.by_own.argmax()]) for run in runs]
        means_shared = [float(run.shared.mean()) for run in runs]
        ends = [number(mean_std(values)[0]) for values in (means_shared, chosen, best)]
        correlations = [_mean_correlation(list(taus)), _between(ps), _mean_correlation(rhos)]
        published = [printed[source] or MISSING] if any(printed.values()) else []
        table.add([study.label(source.row), source.text, str(len(runs)), cells, *correlations, *ends, *published])
    return table if table.rows else None


def _between(ps: Sequence[float]) -> str:
    """Format the p of one run, or the smallest and the largest of several."""
    known = sorted(p for p in ps if isfinite(p))
    if not known:
        return MISSING
    low, high = probability(known[0]), probability(known[-1])
    return low if low == high else f"{low} to {high}"


def _printed(study: Study, benchmark: str, source: Source) -> str:
    """Return the papers' correlation for a row under the page's protocol, with its source; empty if there is none."""
    table = study.published
    wanted = (table["protocol"] == study.page.protocol) & (table["benchmark"] == benchmark)
    wanted &= (table["target"] == source.printed_on) & (table["metric"] == "kendall_tau")
    wanted &= table["row"].map(lambda rows: source.row in rows.split(";"))
    lines = papers.records(table[wanted])
    texts = [f"{number(line['mean'])} ({'; '.join(filter(None, (papers.source(line), line['caveats'])))})" for line in lines]
    return Cited("; ".join(texts), [papers.CITATIONS[line["paper"]] for line in lines]) if lines else ""


def probed(study: Study, traces: Traces, benchmark: str) -> dict[Source, list[Ranked]]:
    """Return the probed cells of each run by the source of their own accuracies."""
    trained = study.evidence.trainings
    rankings: dict[Source, list[Ranked]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).probing():
            probe = {name: np.asarray(values, dtype=float) for name, values in search.probe.items()}
            if SHARED not in probe:
                continue
            shared, losses = probe[SHARED], probe.get(SHARED_LOSS, np.array([np.nan]))
            for target in study.targets(benchmark):
                if target in probe and np.isfinite(probe[target]).all():
                    source = Source(row, f"{target_name(target)}, test, as judged")
                    rankings.setdefault(source, []).append(Ranked(shared, probe[target], shared, probe[target]))
            probes = trained[trained[Training.PROBED].astype(bool) & (trained[Training.BENCHMARK] == benchmark)]
            probes = probes[(probes[Training.ROW] == row) & (probes[Training.WORLD] == search.world)]
            keys = [Training.STAGE, Training.RECIPE, Training.DATA, Training.SPLIT]
            for (_, recipe, data, split), group in probes.groupby(keys, sort=False):
                own, own_losses = (_by_cell(group[name], len(shared)) for name in (Training.ACCURACY, Training.LOSS))
                text = f"{target_name(str(data))}, {split}, trained by {recipe}"
                if own is not None:
                    rankings.setdefault(Source(row, text), []).append(Ranked(shared, own, shared, own))
                if own is not None and own_losses is not None and np.isfinite(losses).all():
                    source = Source(row, f"{text}, by the loss", str(data) if split == "test" else "")
                    rankings.setdefault(source, []).append(Ranked(shared, own, -losses, -own_losses))
    return rankings


def _by_cell(values: pd.Series, cells: int) -> np.ndarray | None:
    """Return the mean of each cell's trainings; None if some are missing. They are in the order of the probes, seed by seed."""
    numbers = values.to_numpy(dtype=float)
    complete = len(numbers) % cells == 0 and np.isfinite(numbers).all()
    return numbers.reshape(cells, -1).mean(1) if complete else None


SINGLE_LEVEL = ("erm", "joint_erm")
"""Variants that choose by the loss on all data together; ``bilevel`` chooses by held-out data."""


def objectives(study: Study, benchmark: str) -> Table | None:
    """Compare each method's bilevel row with its single-level row on the same world seeds; None if no method has both."""
    names = ["method", "target", "pairs", "bilevel − single level [95 %]", "p (Holm)", "other settings that differ"]
    table = Table(
        "Choosing by validation data (bilevel) against choosing by the loss on training and validation data together "
        "(single level): test accuracy, paired difference in points, its 95 % interval; Wilcoxon's signed-rank test, Holm's "
        "correction per target over the methods.",
        [Column(name, right=name not in ("method", "target", names[-1])) for name in names],
    )
    ran = study.rows(benchmark)
    bases = {
        row: f"{method}:bilevel"
        for row in ran
        for method, _, variant in [row.partition(":")]
        if variant in SINGLE_LEVEL and f"{method}:bilevel" in ran
    }
    comparisons = {
        target: correct(
            {
                row: paired(study.by_world(benchmark, base, target), study.by_world(benchmark, row, target))
                for row, base in bases.items()
            },
            target_name(target),
        )
        for target in study.targets(benchmark)
    }
    for row, base in bases.items():
        for target, comparison in comparisons.items():
            pair = comparison.pairs.get(row)
            cells = [str(pair.n) if pair else MISSING, *comparison.cells(row)]
            against = f"{study.label(base)} against {study.label(row)}"
            table.add([against, target_name(target), *cells, _differing(study, benchmark, base, row)])
    table.caption += noted([remark for comparison in comparisons.values() for remark in comparison.remarks])
    return table if table.rows else None


def _differing(study: Study, benchmark: str, *rows: str) -> str:
    """Return the settings of two rows that differ, without their objective."""
    first, second = (study.settings(benchmark, row) for row in rows)
    names = [name for name in first if name != "objective" and first[name] != second.get(name)]
    return ", ".join(f"{name} {first[name]} / {second.get(name)}" for name in names) or MISSING
