"""Paired comparisons as text: cells of tables, and the remarks below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.analysis.pairs import FAMILY, LEVEL, Comparison, families
from harness.analysis.statistics import smallest_p
from reports.formats import MISSING, probability, with_interval

CORRECTED = "Holm's correction over the rows without a variant name and, apart from them, over the rows with one"
"""Description of the correction in captions."""
APART = (
    "an interval without 0 may stand next to a p above 0.05: the interval is that of one row's mean difference, p is that of "
    "a rank test, corrected over the rows"
)
"""Remark on a line whose interval and p seem to disagree."""


def cells(comparison: Comparison, row: str) -> list[str]:
    """Return the difference with its interval, and the corrected p."""
    if row not in comparison.pairs:
        return [MISSING, MISSING]
    pair = comparison.pairs[row]
    return [with_interval(pair.difference, pair.interval, sign=True), probability(comparison.corrected[row])]


def columns(comparison: Comparison, row: str, difference: str = "difference [95 %]") -> dict[str, str]:
    """Return the cells by the names of their columns."""
    return dict(zip((difference, "p (Holm)"), cells(comparison, row), strict=True))


def noted(comparisons: Iterable[tuple[str, Comparison]]) -> str:
    """Return remarks on p values as sentences for the end of a caption, each once.

    Args:
        comparisons: each with the name of what is compared, such as a target.
    """
    remarks = (remark for what, comparison in comparisons for remark in _remarks(comparison, what))
    return "".join(f" Note: {remark}." for remark in dict.fromkeys(remarks))


def powerless(comparison: Comparison, what: str) -> str:
    """Return in words why no row can differ with these seeds, by the family with the most; empty if one can."""
    tested = [[row for row in family if row in comparison.pairs] for family in families(comparison.rows)]
    strongest = max(tested, key=lambda rows: max((comparison.pairs[row].n for row in rows), default=0), default=[])
    return _powerless(comparison, strongest, what) if strongest and not comparison.decisive else ""


def _powerless(comparison: Comparison, rows: Sequence[str], what: str) -> str:
    """Return why the seeds of some rows, which are tested together, cannot show a difference."""
    seeds = max(comparison.pairs[row].n for row in rows)
    least = smallest_p(seeds)
    text = f"{seeds} seed{'s' * (seeds != 1)} cannot show a difference on {what} at the {100 * LEVEL:g} % level"
    text += f": the smallest possible p is {probability(least)}"
    corrected = probability(min(len(rows) * least, 1.0))
    return text + f", and {corrected} after the correction over {len(rows)} rows" * (least < LEVEL)


def _remarks(comparison: Comparison, what: str) -> Iterator[str]:
    for family in families(comparison.rows):
        pairs = [row for row in family if row in comparison.pairs]
        weak = [row for row in pairs if row in comparison.undecided]
        if pairs and len(weak) == len(pairs):
            yield _powerless(comparison, pairs, what)
        elif weak:
            yield f"too few seeds to show a difference on {what}: {', '.join(weak)}"
        intervals = {row: interval for row in pairs if (interval := comparison.pairs[row].interval)}
        if any(interval.outside(0.0) and comparison.corrected[row] >= LEVEL for row, interval in intervals.items()):
            yield APART
        if len(family) > FAMILY:
            yield f"a family of {len(family)} rows is larger than the {FAMILY} that the protocol allows"
