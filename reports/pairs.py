"""Paired comparisons as text: cells of tables, and the remarks below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.analysis.pairs import FAMILY, Comparison, families
from reports.formats import MISSING, probability, with_interval

CORRECTED = "Holm's correction over the rows without a variant name and, apart from them, over the rows with one"
"""Description of the correction in captions."""


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


def _remarks(comparison: Comparison, what: str) -> Iterator[str]:
    for family in families(comparison.rows):
        pairs = [row for row in family if row in comparison.pairs]
        weak = [row for row in pairs if row in comparison.undecided]
        if pairs and len(weak) == len(pairs):
            rows = f"{len(pairs)} row{'s' * (len(pairs) != 1)}"
            yield f"with these pairs and {rows} no difference on {what} can be significant"
        elif weak:
            yield f"too few pairs on {what} for any significance: {', '.join(weak)}"
        if len(family) > FAMILY:
            yield f"a family of {len(family)} rows is larger than the {FAMILY} that the protocol allows"
