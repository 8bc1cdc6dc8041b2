"""What a report found, in a few sentences with their uncertainty: the first lines of its page and of the index."""

from __future__ import annotations

from reports import reference
from reports.figures import panel_title
from reports.formats import probability, with_interval
from reports.pairs import LEVEL
from reports.ranked import leaders
from reports.statistics import mean_interval
from reports.study import Study


def sentences(study: Study) -> list[str]:
    """Return, for each benchmark and target, the best row, its lead over random search, and how many rows differ from it."""
    return [
        text
        for benchmark in study.benchmarks
        for target in study.targets(benchmark)
        if (text := _best(study, benchmark, target))
    ]


def _best(study: Study, benchmark: str, target: str) -> str:
    first = leaders(study, benchmark, target)
    if not first:
        return ""
    tests = study.test(benchmark, first[0], target)
    budget = study.common_budget(benchmark)
    labels = " and ".join(study.label(row) for row in first)
    mean = with_interval(float(tests.mean()), mean_interval(tests))
    place = panel_title(study, benchmark, target)
    text = f"{place}: the best mean test accuracy is that of {labels}, {mean} % (n = {len(tests)})"
    return (
        text
        + (f", under {budget} for every row." if budget else ".")
        + _against_random_search(study, benchmark, target, first[0])
    )


def _against_random_search(study: Study, benchmark: str, target: str, row: str) -> str:
    comparison = reference.comparisons(study, benchmark)[target]
    if not comparison.pairs:
        return ""
    text = ""
    if pair := comparison.pairs.get(row):
        gain = with_interval(pair.difference, pair.interval, sign=True)
        p = probability(comparison.corrected[row])
        where = " at its charge" if row in reference.at_own_charge(study, benchmark) else ""
        text = f" On the same seeds it differs from random search{where} by {gain} points (Holm-corrected p {p})."
    if not comparison.decisive:
        return text + " With these seeds no difference from random search can be significant."
    gains = [pair.difference for name, pair in comparison.pairs.items() if comparison.corrected[name] < LEVEL]
    better, worse = (str(sum(sign * gain > 0 for gain in gains) or "none") for sign in (1, -1))
    decided = f"{len(comparison.rows) - len(comparison.undecided)} rows"
    text += f" Significantly better than random search (p < {LEVEL:g}): {better} of {decided}; significantly worse: {worse}."
    return text + (f" Rows with too few pairs: {len(comparison.undecided)}." if comparison.undecided else "")
