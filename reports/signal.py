"""How well shared weights tell good architectures from bad ones, and what choosing by the training loss costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.figures import Drawing, Panel, render
from reports.formats import MISSING, number, probability, target_name, with_interval
from reports.layout import Column, Table
from reports.statistics import Interval, kendall, mean_interval, mean_std, paired, rank_correlation
from reports.study import Study
from reports.traces import Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clouds = dict[tuple[str, str, int], list[np.ndarray]]
"""By benchmark, row and number of features: of each run the accuracies (2, architectures), shared and own."""


def _clouds(study: Study, traces: Traces) -> Clouds:
    found: Clouds = {}
    for benchmark in study.benchmarks:
        for row in study.rows(benchmark):
            for one in traces.of(benchmark, row).logging():
                if {"shared_accuracy", "own_accuracy", "features"} <= set(one.log):
                    for features in np.unique(one.log["features"]):
                        here = one.log["features"] == features
                        pair = np.array([one.log["shared_accuracy"][here], one.log["own_accuracy"][here]])
                        found.setdefault((benchmark, row, int(features)), []).append(pair)
    return dict(sorted(found.items()))


def signal(study: Study, traces: Traces) -> Drawing | None:
    """Draw accuracy under shared weights against accuracy of weights of one's own, a panel per number of features."""
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
        "trained for one alone; every point is an architecture in one of the runs. Rank correlations stand in the table."
    )
    return Drawing("signal", render(study, panels), text)


def _scatter(row: str, runs: list[np.ndarray]) -> Callable[..., dict[str, Any]]:
    def draw(panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
        shared, own = np.concatenate(runs, axis=1)
        look = {**looks[row], "linestyle": "none", "alpha": 0.5, "markersize": 3}
        return {row: panel.plot(own, shared, **look)[0]}

    return draw


def correlations(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Spearman's rank correlation between the two accuracies, per number of features; None where nothing logged them."""
    names = ["method", "features", "runs", "architectures", "Spearman [95 %]", "best shared", "best own"]
    table = Table(
        "Signal of shared weights: rank correlation, over the architectures of a run, between validation accuracy under "
        "shared weights and under weights of their own; mean over runs with its 95 % interval (Student t, within [−1, 1], "
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
    """Mean over runs with its interval, within what a correlation can be."""
    interval = mean_interval(values)
    within = interval and Interval(max(interval.low, -1.0), min(interval.high, 1.0))
    return with_interval(mean_std(values)[0], within)


def ranking(study: Study, traces: Traces, trained: pd.DataFrame, benchmark: str) -> Table | None:
    """How a supernet ranks random cells against what they come to by themselves; None where no search probed cells."""
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
    for (row, how), runs in _probed(study, traces, trained, benchmark).items():
        taus = [kendall(shared, own) for shared, own in runs]
        rhos = [rank_correlation(shared, own) for shared, own in runs]
        cells = ", ".join(map(str, sorted({len(own) for _, own in runs})))
        chosen = [float(own[shared.argmax()]) for shared, own in runs]
        best = [float(own.max()) for _, own in runs]
        means = [_mean_correlation(values) for values in (taus, rhos)]
        means_shared = [float(shared.mean()) for shared, _ in runs]
        ends = [number(mean_std(values)[0]) for values in (means_shared, chosen, best)]
        table.add([study.label(row), how, str(len(runs)), cells, *means, *ends])
    return table if table.rows else None


def _probed(
    study: Study, traces: Traces, trained: pd.DataFrame, benchmark: str
) -> dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]]:
    """By row and what tells a cell's own accuracy: of each run the accuracies (cells,), shared and own."""
    found: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for row in study.rows(benchmark):
        for one in traces.of(benchmark, row).probing():
            probe = {name: np.asarray(values, dtype=float) for name, values in one.probe.items()}
            if "shared" not in probe:
                continue
            for target in study.targets(benchmark):
                if target in probe and np.isfinite(probe[target]).all():
                    pair = probe["shared"], probe[target]
                    found.setdefault((row, f"{target_name(target)}, test, as judged"), []).append(pair)
            if "probed" in trained:
                mine = trained[trained["probed"] & (trained["benchmark"] == benchmark)]
                mine = mine[(mine["row"] == row) & (mine["world"] == one.world)]
                for (_, recipe, data, split), group in mine.groupby(["stage", "recipe", "data", "split"], sort=False):
                    accuracies = group["accuracy"].to_numpy(dtype=float)
                    if len(accuracies) % len(probe["shared"]) == 0 and np.isfinite(accuracies).all():
                        own = accuracies.reshape(len(probe["shared"]), -1).mean(1)  # in the order of the probes, seed by seed
                        how = f"{target_name(str(data))}, {split}, trained by {recipe}"
                        found.setdefault((row, how), []).append((probe["shared"], own))
    return found


SINGLE_LEVEL = ("erm", "joint_erm")
"""Variants that choose by the loss on all data together, where ``bilevel`` chooses by held-out data."""


def objectives(study: Study, benchmark: str) -> Table | None:
    """Each method's bilevel row against its single-level row on the same world seeds; None where no method has both."""
    names = ["method", "target", "pairs", "bilevel − single level [95 %]", "p", "other settings that differ"]
    table = Table(
        "Choosing by validation data (bilevel) against choosing by the loss on training and validation data together "
        "(single level): test accuracy, paired difference in points, its 95 % interval; Wilcoxon's test, not corrected.",
        [Column(name, right=name not in ("method", "target", names[-1])) for name in names],
    )
    for row in study.rows(benchmark):
        method, _, variant = row.partition(":")
        other = f"{method}:bilevel"
        if variant in SINGLE_LEVEL and other in study.rows(benchmark):
            for target in study.targets(benchmark):
                pair = paired(study.by_world(benchmark, other, target), study.by_world(benchmark, row, target))
                cells = [MISSING] * 3
                if pair is not None:
                    cells = [str(pair.n), with_interval(pair.difference, pair.interval, sign=True), probability(pair.p)]
                against = f"{study.label(other)} against {study.label(row)}"
                table.add([against, target_name(target), *cells, _differing(study, benchmark, other, row)])
    return table if table.rows else None


def _differing(study: Study, benchmark: str, one: str, other: str) -> str:
    """Settings of two rows that differ besides their objective."""
    first, second = (study.settings(benchmark, row) for row in (one, other))
    names = [name for name in first if name != "objective" and first[name] != second.get(name)]
    return ", ".join(f"{name} {first[name]} / {second.get(name)}" for name in names) or MISSING
