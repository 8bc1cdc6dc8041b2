"""Compare rows with one reference on the same worlds: paired tests, corrected over families of rows fixed in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.formats import MISSING, probability, with_interval
from reports.statistics import Paired, holm, paired, smallest_p

FAMILY = 25  # rows tested together at most


def families(rows: Sequence[str]) -> list[list[str]]:
    """Return the rows without a variant name, and the rows with a variant name, as two families; empty families are dropped."""
    both = [row for row in rows if ":" not in row], [row for row in rows if ":" in row]
    return [family for family in both if family]


@dataclass(frozen=True)
class Comparison:
    """Rows compared with the reference, and remarks on their p values."""

    pairs: dict[str, Paired]
    """By row; without rows that share no world with the reference."""
    corrected: dict[str, float]
    """Holm's p by row."""
    remarks: list[str]

    def cells(self, row: str) -> list[str]:
        """Return the difference with its interval, and the corrected p."""
        if row not in self.pairs:
            return [MISSING, MISSING]
        pair = self.pairs[row]
        return [with_interval(pair.difference, pair.interval, sign=True), probability(self.corrected[row])]


def compare(values: Mapping[str, pd.Series], reference: pd.Series, what: str) -> Comparison:
    """Compare each row with the reference; the rows of a family are corrected together.

    Args:
        values: by row, values by world.
        what: name of the values in remarks (the target).
    """
    tested = {row: pair for row, series in values.items() if (pair := paired(series, reference)) is not None}
    corrected: dict[str, float] = {}
    remarks = []
    for family in families(list(values)):
        pairs = [(row, tested[row]) for row in family if row in tested]
        corrected |= zip([row for row, _ in pairs], holm([pair.p for _, pair in pairs]), strict=True)
        if pairs and smallest_p(min(pair.n for _, pair in pairs)) * len(pairs) > 0.05:
            remarks.append(f"with these pairs and {len(pairs)} rows no difference on {what} can be significant")
        if len(family) > FAMILY:
            remarks.append(f"a family of {len(family)} rows is larger than the {FAMILY} that the protocol allows")
    return Comparison(tested, corrected, remarks)


def noted(remarks: Sequence[str]) -> str:
    """Return the remarks as sentences for the end of a caption, each once."""
    return "".join(f" Note: {remark}." for remark in dict.fromkeys(remarks))
