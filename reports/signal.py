"""How well shared weights rank architectures, and the cost of choosing by the training loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.evidence import Training
from reports.figures import Drawing, Panel, render
from reports.formats import MISSING, number, target_name, with_interval
from reports.layout import Column, Table
from reports.pairs import correct, noted
from reports.statistics import Interval, kendall, mean_interval, mean_std, paired, rank_correlation
from reports.study import Study
from reports.traces import SHARED, Log, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clouds = dict[tuple[str, str, int], list[np.ndarray]]
"""By benchmark, row and number of features: for each run the accuracies (2, architectures), shared and own."""


def _clouds(study: Study, traces: Traces) -> Clouds:
    clouds: Clouds = {}
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            for search in traces.of(benchmark, row).logging():
                if {Log.SHARED_ACCURACY, Log.OWN_ACCURACY, Log.FEATURES} <= set(search.log):
                    names = (Log.SHARED_ACCURACY, Log.OWN_ACCURACY, Log.FEATURES)
                    shared, own, features = (np.asarray(search.log[name]) for name in names)
                    for count in np.unique(features):
                        pair = np.array([shared[features == count], own[features == count]])
                        clouds.setdefault((benchmark, row, int(count)), []).append(pair)
    return dict(sorted(clouds.items()))


def signal(study: Study, traces: Traces) -> Drawing | None:
    """Draw accuracy under shared weights against accuracy under own weights, a panel per number of features."""
    panels = [
        Panel(
            f"{benchmark}, {number(features, 0)} features",
            "own weights: validation (%)",
            "shared weights: validation (%)",
            _scatter(row, runs),
        )
        for (benchmark, row, features), runs in _clouds(study, traces).items()
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
    for (name, row, features), runs in _clouds(study, traces).items():
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


def ranking(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare a supernet's ranking of random cells with their own accuracies; None if no search probed cells."""
    names = [
        "method",
        "own accuracy",
        "runs",
        "cells",
        "Kendall τ [95 %]",
        "Spearman [95 %]",
        "shared",
        "best shared",
        "best own",
    ]
    table = Table(
        "Random cells under the weights that a search shares between all cells, against the same cells by themselves (CoNAS, "
        "A.4): rank correlations over the cells of a run, mean over runs with its 95 % interval (Student t, within [−1, 1], "
        "none below 3 runs). Shared: mean validation accuracy of the cells under the shared weights, in percent; best shared: "
        "the own accuracy of the cell that they rank first; best own: the best.",
        [Column(name, right=name not in names[:2]) for name in names],
    )
    for (row, source), runs in _probed(study, traces, benchmark).items():
        taus = [kendall(shared, own) for shared, own in runs]
        rhos = [rank_correlation(shared, own) for shared, own in runs]
        cells = ", ".join(map(str, sorted({len(own) for _, own in runs})))
        chosen = [float(own[shared.argmax()]) for shared, own in runs]
        best = [float(own.max()) for _, own in runs]
        means = [_mean_correlation(values) for values in (taus, rhos)]
        means_shared = [float(shared.mean()) for shared, _ in runs]
        ends = [number(mean_std(values)[0]) for values in (means_shared, chosen, best)]
        table.add([study.label(row), source, str(len(runs)), cells, *means, *ends])
    return table if table.rows else None


def _probed(study: Study, traces: Traces, benchmark: str) -> dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]]:
    """Return by row and source of the own accuracies: for each run the accuracies (cells,), shared and own."""
    trained = study.evidence.trainings
    pairs: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).probing():
            probe = {name: np.asarray(values, dtype=float) for name, values in search.probe.items()}
            if SHARED not in probe:
                continue
            shared = probe[SHARED]
            for target in study.targets(benchmark):
                if target in probe and np.isfinite(probe[target]).all():
                    pairs.setdefault((row, f"{target_name(target)}, test, as judged"), []).append((shared, probe[target]))
            probes = trained[trained[Training.PROBED].astype(bool) & (trained[Training.BENCHMARK] == benchmark)]
            probes = probes[(probes[Training.ROW] == row) & (probes[Training.WORLD] == search.world)]
            keys = [Training.STAGE, Training.RECIPE, Training.DATA, Training.SPLIT]
            for (_, recipe, data, split), group in probes.groupby(keys, sort=False):
                accuracies = group[Training.ACCURACY].to_numpy(dtype=float)
                if len(accuracies) % len(shared) == 0 and np.isfinite(accuracies).all():
                    own = accuracies.reshape(len(shared), -1).mean(1)  # trainings are in the order of the probes, seed by seed
                    source = f"{target_name(str(data))}, {split}, trained by {recipe}"
                    pairs.setdefault((row, source), []).append((shared, own))
    return pairs


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
