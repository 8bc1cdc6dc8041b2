"""Compare rows with one reference on the same worlds: paired tests, corrected over families of rows fixed in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.formats import MISSING, probability, with_interval
from reports.statistics import Paired, holm, paired, smallest_p

FAMILY = 25  # rows tested together at most
LEVEL = 0.05  # a corrected p below it is significant
CORRECTED = "Holm's correction over the rows without a variant name and, apart from them, over the rows with one"
"""Description of the correction in captions."""


def families(rows: Sequence[str]) -> list[list[str]]:
    """Return the rows without a variant name, and the rows with a variant name, as two families; empty families are dropped."""
    both = [row for row in rows if ":" not in row], [row for row in rows if ":" in row]
    return [family for family in both if family]


APART = (
    "an interval without 0 may stand next to a p above 0.05: the interval is that of one row's mean difference, p is that of "
    "a rank test, corrected over the rows"
)
"""Remark on a line whose interval and p seem to disagree."""


@dataclass(frozen=True)
class Comparison:
    """Rows compared with the reference, and remarks on their p values."""

    pairs: dict[str, Paired]  # by row; without rows that share no world with the reference
    corrected: dict[str, float]  # holm's p by row
    remarks: list[str]
    rows: list[str]  # the rows to compare, those without a common world included
    undecided: frozenset[str]  # the rows that have too few pairs: no difference could be significant

    @property
    def decisive(self) -> bool:
        """Return whether any difference could be significant with these pairs."""
        return not self.undecided.issuperset(self.rows)

    def cells(self, row: str) -> list[str]:
        """Return the difference with its interval, and the corrected p."""
        if row not in self.pairs:
            return [MISSING, MISSING]
        pair = self.pairs[row]
        return [with_interval(pair.difference, pair.interval, sign=True), probability(self.corrected[row])]

    def columns(self, row: str, difference: str = "difference [95 %]") -> dict[str, str]:
        """Return the cells by the names of their columns."""
        return dict(zip((difference, "p (Holm)"), self.cells(row), strict=True))


def compare(values: Mapping[str, pd.Series], reference: pd.Series, what: str) -> Comparison:
    """Compare each row with the reference; the rows of a family are corrected together.

    Args:
        values: by row, values by world.
        what: name of the values in remarks (the target).
    """
    return correct({row: paired(series, reference) for row, series in values.items()}, what)


def correct(tested: Mapping[str, Paired | None], what: str) -> Comparison:
    """Correct the tests of rows within their families; None is a row that shares no world with what it is compared with.

    Args:
        what: name of the values in remarks (the target).
    """
    known = {row: pair for row, pair in tested.items() if pair is not None}
    corrected: dict[str, float] = {}
    remarks, undecided = [], set(tested) - set(known)
    for family in families(list(tested)):
        pairs = {row: known[row] for row in family if row in known}
        corrected |= zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True)
        smallest = zip(pairs, holm([smallest_p(pair.n) for pair in pairs.values()]), strict=True)
        weak = [row for row, p in smallest if p >= LEVEL]
        if pairs and len(weak) == len(pairs):
            remarks.append(_powerless(max(pair.n for pair in pairs.values()), len(pairs), what))
        elif weak:
            remarks.append(f"too few seeds to show a difference on {what}: {', '.join(weak)}")
        undecided.update(weak)
        if any(pair.interval and pair.interval.outside(0.0) and corrected[row] >= LEVEL for row, pair in pairs.items()):
            remarks.append(APART)
        if len(family) > FAMILY:
            remarks.append(f"a family of {len(family)} rows is larger than the {FAMILY} that the protocol allows")
    return Comparison(known, corrected, remarks, list(tested), frozenset(undecided))


def _powerless(seeds: int, rows: int, what: str) -> str:
    """Return why so few seeds cannot show a difference of a row, when several rows are tested together."""
    least = smallest_p(seeds)
    text = f"{seeds} seed{'s' * (seeds != 1)} cannot show a difference on {what} at the {100 * LEVEL:g} % level"
    text += f": the smallest possible p is {probability(least)}"
    return text + f", and {probability(min(rows * least, 1.0))} after the correction over {rows} rows" * (least < LEVEL)


def noted(remarks: Sequence[str]) -> str:
    """Return the remarks as sentences for the end of a caption, each once."""
    return "".join(f" Note: {remark}." for remark in dict.fromkeys(remarks))
