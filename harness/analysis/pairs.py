"""Compare rows with one reference on the same worlds: paired tests, corrected over families of rows fixed in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.analysis.statistics import Paired, holm, paired, smallest_p

FAMILY = 25  # rows tested together at most
LEVEL = 0.05  # a corrected p below it is significant


def families(rows: Sequence[str]) -> list[list[str]]:
    """Return the rows without a variant name, and the rows with a variant name, as two families; empty families are dropped."""
    both = [row for row in rows if ":" not in row], [row for row in rows if ":" in row]
    return [family for family in both if family]


@dataclass(frozen=True)
class Comparison:
    """Rows compared with the reference."""

    pairs: dict[str, Paired]  # by row; without rows that share no world with the reference
    corrected: dict[str, float]  # holm's p by row
    rows: list[str]  # the rows to compare, those without a common world included
    undecided: frozenset[str]  # the rows that have too few pairs: no difference could be significant

    @property
    def decisive(self) -> bool:
        """Return whether any difference could be significant with these pairs."""
        return not self.undecided.issuperset(self.rows)


def compare(values: Mapping[str, pd.Series], reference: pd.Series) -> Comparison:
    """Compare each row with the reference; the rows of a family are corrected together.

    Args:
        values: by row, values by world.
    """
    return correct({row: paired(series, reference) for row, series in values.items()})


def correct(tested: Mapping[str, Paired | None]) -> Comparison:
    """Correct the tests of rows within their families; None is a row that shares no world with what it is compared with."""
    known = {row: pair for row, pair in tested.items() if pair is not None}
    corrected: dict[str, float] = {}
    undecided = set(tested) - set(known)
    for family in families(list(tested)):
        pairs = {row: known[row] for row in family if row in known}
        corrected |= zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True)
        smallest = zip(pairs, holm([smallest_p(pair.n) for pair in pairs.values()]), strict=True)
        undecided.update(row for row, p in smallest if p >= LEVEL)
    return Comparison(known, corrected, list(tested), frozenset(undecided))
