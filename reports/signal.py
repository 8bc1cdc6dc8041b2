"""How well shared weights rank architectures, and the cost of choosing by the training loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import signal as analysis
from harness.analysis.names import target_name
from harness.analysis.signal import Source
from harness.analysis.statistics import Interval, kendall, mean_interval, mean_std, rank_correlation
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports import sources
from reports.figures import Drawing, Panel, render
from reports.formats import MISSING, number, probability, with_interval
from reports.layout import Table
from reports.lines import tabled
from reports.pairs import columns, noted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def signal(study: Study, traces: Traces) -> Drawing | None:
    """Draw accuracy under shared weights against accuracy under own weights, a panel per number of features."""
    x, y = "own weights: validation (%)", "shared weights: validation (%)"
    panels = [
        Panel(f"{benchmark}, {number(features, 0)} features", x, y, partial(_scatter, row, runs))
        for benchmark in study.benchmarks
        for (row, features), runs in analysis.clouds(study, traces, benchmark).items()
    ]
    text = "Validation accuracy of architectures under weights that all of them share, and under weights of one alone."
    return Drawing(render(study, panels), text) if panels else None


def _scatter(row: str, runs: list[np.ndarray], panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    shared, own = np.concatenate(runs, axis=1)
    look = {**looks[row], "linestyle": "none", "alpha": 0.5, "markersize": 3}
    return {row: panel.plot(own, shared, **look)[0]}


def ranking(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Compare the ranking by shared weights with architectures' own accuracies and losses; None if no search measured it."""
    rankings = analysis.every_source(study, traces, benchmark)
    printed = {source: _printed(study, benchmark, source) for source in rankings}
    lines = []
    for source, runs in rankings.items():
        taus, ps = zip(*(kendall(run.by_shared, run.by_own) for run in runs), strict=True)
        line = {"method": study.label(source.row), "own accuracy": _source(source), "runs": str(len(runs))}
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
    """Return the papers' correlation for a row under the page's protocol, p and source; empty if there is none."""
    place = study.page.protocol, source.printed_on
    of_row = [study.printed_lines(benchmark, name).get(source.row, []) for name in ("kendall_tau", "kendall_p")]
    taus, ps = ([line for line in lines if (line["protocol"], line["target"]) == place] for lines in of_row)
    values = ", ".join([number(line["mean"]) for line in taus] + [f"p {probability(line['mean'])}" for line in ps])
    origin = "; ".join(dict.fromkeys(text for line in taus for text in (sources.source(line), line["caveats"]) if text))
    return sources.cited(f"{values} ({origin})", taus) if taus else ""


def _source(source: Source) -> str:
    """Return in words where own accuracies are from."""
    if source.features:
        return f"validation, with {number(source.features, 0)} features"
    how = f"trained by {source.recipe}" + ", by the loss" * source.by_loss if source.recipe else "as judged"
    return f"{target_name(source.target)}, {source.split}, {how}"


def objectives(study: Study, benchmark: str) -> Table | None:
    """Compare each method's bilevel row with its single-level row on the same world seeds; None if no method has both."""
    bases, comparisons = analysis.objectives(study, benchmark)
    lines = [
        {"method": f"{study.label(base)} against {study.label(row)}", "target": target_name(target)}
        | {"pairs": str(comparison.pairs[row].n) if row in comparison.pairs else MISSING}
        | columns(comparison, row, "bilevel − single level [95 %]")
        | {"other settings that differ": _differing(study, benchmark, base, row)}
        for row, base in bases.items()
        for target, comparison in comparisons.items()
    ]
    text = "Choosing by validation data (bilevel) against choosing by the loss on all data together (single level)."
    return tabled(text + noted((target_name(target), comparison) for target, comparison in comparisons.items()), lines)


def _differing(study: Study, benchmark: str, *rows: str) -> str:
    """Return the settings of two rows that differ, without their objective."""
    first, second = (study.settings(benchmark, row) for row in rows)
    names = [name for name in first if name != "objective" and first[name] != second.get(name)]
    return ", ".join(f"{name} {first[name]} / {second.get(name)}" for name in names) or MISSING
