"""How well shared weights rank architectures, and the cost of choosing by the training loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports import published as papers
from reports.evidence import Training
from reports.figures import Drawing, Panel, render
from reports.formats import MISSING, number, probability, target_name, with_interval
from reports.layout import Cited, Table
from reports.lines import tabled
from reports.pairs import correct, noted
from reports.statistics import Interval, kendall, mean_interval, mean_std, paired, rank_correlation
from reports.study import Study
from reports.traces import SHARED, SHARED_LOSS, Log, Search, Traces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def clouds(study: Study, traces: Traces, benchmark: str) -> dict[tuple[str, int], list[np.ndarray]]:
    """Return by row and number of features, for each run, the accuracies (2, architectures), shared and own."""
    runs: dict[tuple[str, int], list[np.ndarray]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).logging():
            for features, pair in by_features(search).items():
                runs.setdefault((row, features), []).append(pair)
    return dict(sorted(runs.items()))


def by_features(search: Search) -> dict[int, np.ndarray]:
    """Return by number of features, ascending, the logged accuracies (2, architectures), shared and own; empty without them."""
    names = (Log.FEATURES, Log.SHARED_ACCURACY, Log.OWN_ACCURACY)
    if not search.log.keys() >= set(names):
        return {}
    features, shared, own = (np.asarray(search.log[name]) for name in names)
    return {int(count): np.array([shared[features == count], own[features == count]]) for count in np.unique(features)}


def signal(study: Study, traces: Traces) -> Drawing | None:
    """Draw accuracy under shared weights against accuracy under own weights, a panel per number of features."""
    x, y = "own weights: validation (%)", "shared weights: validation (%)"
    panels = [
        Panel(f"{benchmark}, {number(features, 0)} features", x, y, partial(_scatter, row, runs))
        for benchmark in study.benchmarks
        for (row, features), runs in clouds(study, traces, benchmark).items()
    ]
    text = "Validation accuracy of architectures under weights that all of them share, and under weights of one alone."
    return Drawing(render(study, panels), text) if panels else None


def _scatter(row: str, runs: list[np.ndarray], panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    shared, own = np.concatenate(runs, axis=1)
    look = {**looks[row], "linestyle": "none", "alpha": 0.5, "markersize": 3}
    return {row: panel.plot(own, shared, **look)[0]}


class Ranked(NamedTuple):
    """The architectures of one run that were measured under shared weights and by themselves."""

    shared: np.ndarray  # accuracies under shared weights, percent
    own: np.ndarray  # accuracies under own weights, percent
    by_shared: np.ndarray  # numbers that rank them under shared weights, the best highest: accuracies, or losses with a minus
    by_own: np.ndarray  # the same under own weights


class Source(NamedTuple):
    """Where the own accuracies of a row's architectures are from."""

    row: str
    text: str
    printed_on: str = ""  # the data set on which papers print such a correlation: that of the test losses


def ranking(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the ranking by shared weights with architectures' own accuracies and losses; None if no search measured it."""
    rankings = probed(study, traces, benchmark)
    for (row, features), pairs in clouds(study, traces, benchmark).items():
        source = Source(row, f"validation, with {number(features, 0)} features")
        rankings[source] = [Ranked(*pair, *pair) for pair in pairs]
    printed = {source: _printed(study, benchmark, source) for source in rankings}
    lines = []
    for source, runs in rankings.items():
        taus, ps = zip(*(kendall(run.by_shared, run.by_own) for run in runs), strict=True)
        line = {"method": study.label(source.row), "own accuracy": source.text, "runs": str(len(runs))}
        line["cells"] = ", ".join(map(str, sorted({len(run.own) for run in runs})))
        line |= {"Kendall τ [95 %]": _mean_correlation(taus), "p": _between(ps)}
        line["Spearman [95 %]"] = _mean_correlation([rank_correlation(run.by_shared, run.by_own) for run in runs])
        line["shared"] = _mean([run.shared.mean() for run in runs])
        line["best shared"] = _mean([run.own[run.by_shared.argmax()] for run in runs])
        line["best own"] = _mean([run.own[run.by_own.argmax()] for run in runs])
        lines.append(line | ({"published τ": printed[source] or MISSING} if any(printed.values()) else {}))
    return tabled("Rank correlation between shared and own weights over the architectures of a run, mean over runs.", lines)


def _mean(values: Sequence[float]) -> str:
    return number(mean_std(values)[0])


def _mean_correlation(values: Sequence[float]) -> str:
    """Format the mean over runs with its interval, clipped to the range of a correlation."""
    interval = mean_interval(values)
    within = interval and Interval(max(interval.low, -1.0), min(interval.high, 1.0))
    return with_interval(mean_std(values)[0], within)


def _between(ps: Sequence[float]) -> str:
    """Format the p of one run, or the smallest and the largest of several."""
    texts = [probability(p) for p in sorted(filter(isfinite, ps))] or [MISSING]
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _printed(study: Study, benchmark: str, source: Source) -> str:
    """Return the papers' correlation for a row under the page's protocol, with its source; empty if there is none."""
    lines = study.printed_lines(benchmark, "kendall_tau").get(source.row, [])
    lines = [line for line in lines if (line["protocol"], line["target"]) == (study.page.protocol, source.printed_on)]
    texts = [f"{number(line['mean'])} ({'; '.join(filter(None, (papers.source(line), line['caveats'])))})" for line in lines]
    return Cited("; ".join(texts), [papers.CITATIONS[line["paper"]] for line in lines]) if lines else ""


def probed(study: Study, traces: Traces, benchmark: str) -> dict[Source, list[Ranked]]:
    """Return the probed cells of each run by the source of their own accuracies."""
    rankings: dict[Source, list[Ranked]] = {}
    for row in study.rows(benchmark):
        for search in traces.of(benchmark, row).probing():
            for source, run in _of_search(study, benchmark, row, search):
                rankings.setdefault(source, []).append(run)
    return rankings


def _of_search(study: Study, benchmark: str, row: str, search: Search) -> Iterator[tuple[Source, Ranked]]:
    """Yield the probed cells of a search with their accuracies as judged, and with those of trainings from scratch."""
    probe = {name: np.asarray(values, dtype=float) for name, values in search.probe.items()}
    shared = probe.get(SHARED, np.empty(0))
    losses = probe.get(SHARED_LOSS, np.array([np.nan]))
    for target in study.targets(benchmark) if len(shared) else ():
        if target in probe and np.isfinite(probe[target]).all():
            yield Source(row, f"{target_name(target)}, test, as judged"), Ranked(shared, probe[target], shared, probe[target])
    table = study.evidence.trainings
    mine = (table[Training.BENCHMARK] == benchmark) & (table[Training.ROW] == row) & (table[Training.WORLD] == search.world)
    keys = [Training.STAGE, Training.RECIPE, Training.DATA, Training.SPLIT]
    for (_, recipe, data, split), group in table[mine & table[Training.PROBED].astype(bool)].groupby(keys, sort=False):
        own, own_losses = (_by_cell(group[name], len(shared)) for name in (Training.ACCURACY, Training.LOSS))
        text = f"{target_name(str(data))}, {split}, trained by {recipe}"
        if own is not None:
            yield Source(row, text), Ranked(shared, own, shared, own)
        if own is not None and own_losses is not None and np.isfinite(losses).all():
            source = Source(row, f"{text}, by the loss", str(data) if split == "test" else "")
            yield source, Ranked(shared, own, -losses, -own_losses)


def _by_cell(values: pd.Series, cells: int) -> np.ndarray | None:
    """Return the mean of each cell's trainings; None if some are missing. They are in the order of the probes, seed by seed."""
    numbers = values.to_numpy(dtype=float)
    complete = cells and len(numbers) % cells == 0 and np.isfinite(numbers).all()
    return numbers.reshape(cells, -1).mean(1) if complete else None


SINGLE_LEVEL = ("erm", "joint_erm")
"""Variants that choose by the loss on all data together; ``bilevel`` chooses by held-out data."""


def objectives(study: Study, benchmark: str) -> Table | None:
    """Compare each method's bilevel row with its single-level row on the same world seeds; None if no method has both."""
    ran = study.rows(benchmark)
    parted = {row: row.partition(":") for row in ran}
    bases = {row: f"{method}:bilevel" for row, (method, _, variant) in parted.items() if variant in SINGLE_LEVEL}
    bases = {row: base for row, base in bases.items() if base in ran}
    comparisons = {}
    for target in study.targets(benchmark):
        tests = {row: study.by_world(benchmark, row, target) for row in ran}
        pairs = {row: paired(tests[base], tests[row]) for row, base in bases.items()}
        comparisons[target] = correct(pairs, target_name(target))
    lines = [
        {"method": f"{study.label(base)} against {study.label(row)}", "target": target_name(target)}
        | {"pairs": str(comparison.pairs[row].n) if row in comparison.pairs else MISSING}
        | comparison.columns(row, "bilevel − single level [95 %]")
        | {"other settings that differ": _differing(study, benchmark, base, row)}
        for row, base in bases.items()
        for target, comparison in comparisons.items()
    ]
    text = "Choosing by validation data (bilevel) against choosing by the loss on all data together (single level)."
    return tabled(text + noted([remark for comparison in comparisons.values() for remark in comparison.remarks]), lines)


def _differing(study: Study, benchmark: str, *rows: str) -> str:
    """Return the settings of two rows that differ, without their objective."""
    first, second = (study.settings(benchmark, row) for row in rows)
    names = [name for name in first if name != "objective" and first[name] != second.get(name)]
    return ", ".join(f"{name} {first[name]} / {second.get(name)}" for name in names) or MISSING
