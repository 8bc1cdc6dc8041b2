"""What a report found, a sentence for each finding with its uncertainty: the first lines of its page and of the index."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis import reference
from harness.analysis.names import target_name
from harness.analysis.pairs import LEVEL
from harness.analysis.statistics import mean_interval
from harness.analysis.study import Study
from reports.figures import panel_title
from reports.formats import probability, with_interval
from reports.pairs import powerless
from reports.ranked import leaders


def sentences(study: Study) -> list[str]:
    """Return, for each benchmark and target, the best row, its lead over random search, and how many rows differ from it."""
    places = [(benchmark, target) for benchmark in study.benchmarks for target in study.targets(benchmark)]
    return [text for benchmark, target in places for text in _of_target(study, benchmark, target)]


def _of_target(study: Study, benchmark: str, target: str) -> Iterator[str]:
    first = leaders(study, benchmark, target)
    if not first:
        return
    tests = study.test(benchmark, first[0], target)
    budget = study.common_budget(benchmark)
    labels = " and ".join(study.label(row) for row in first)
    mean = with_interval(float(tests.mean()), mean_interval(tests))
    place = panel_title(study, benchmark, target)
    text = f"{place}: the best mean test accuracy is that of {labels}, {mean} % (n = {len(tests)})"
    yield text + (f", under {budget} for every row." if budget else ".")
    comparison = reference.comparisons(study, benchmark)[target]
    if pair := comparison.pairs.get(first[0]):
        gain = with_interval(pair.difference, pair.interval, sign=True)
        where = " at its charge" if first[0] in reference.at_own_charge(study, benchmark) else ""
        p = probability(comparison.corrected[first[0]])
        name = study.label(first[0])
        yield f"{place}: on the same seeds {name} differs from random search{where} by {gain} points (Holm-corrected p {p})."
    if comparison.pairs and not comparison.decisive:
        yield f"Against random search {powerless(comparison, target_name(target))}."
    elif comparison.pairs:
        gains = [pair.difference for name, pair in comparison.pairs.items() if comparison.corrected[name] < LEVEL]
        better, worse = (str(sum(sign * gain > 0 for gain in gains) or "none") for sign in (1, -1))
        decided, few = len(comparison.rows) - len(comparison.undecided), len(comparison.undecided)
        text = f"{place}: significantly better than random search (p < {LEVEL:g}): {better} of {decided} rows; worse: {worse}."
        yield text + (f" Rows with too few seeds to show a difference: {few}." if few else "")
