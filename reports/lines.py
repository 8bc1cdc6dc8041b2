"""Tables that are stated line by line: a line maps names of columns to texts, and the table has the columns of its lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.formats import MISSING
from reports.layout import Column, Table

TEXT = frozenset(
    """method, target, benchmark, base, against, own accuracy, falls faster, other settings that differ, unit, device, split,
    reference, data, searched on, measure, one search, published error %, published in, published τ, verdict, remarks,
    not measured here, spent equally, settings (default), status, first error, beyond δ""".replace("\n   ", "").split(", ")
)
"""Names of the columns that are set flush left."""


def tabled(caption: str, lines: Sequence[Mapping[str, str]], ruled: bool = False) -> Table | None:
    """Return a table as :func:`table` does; None if there are no lines."""
    return table(caption, lines, ruled) if lines else None


def table(caption: str, lines: Sequence[Mapping[str, str]], ruled: bool = False) -> Table:
    """Return a table with the columns that any line has, in the order in which they appear.

    Args:
        ruled: whether a rule is above each line whose first cell differs from that of the line before.
    """
    names = list(dict.fromkeys(name for line in lines for name in line))
    rows = Table(caption, [Column(name, right=name not in TEXT) for name in names])
    for line in lines:
        cells = [line.get(name, MISSING) for name in names]
        rows.add(cells, rule=ruled and bool(rows.rows) and cells[0] != rows.rows[-1][0])
    return rows
