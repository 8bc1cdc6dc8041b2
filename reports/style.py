"""The style of all figures: colour-blind safe, readable in grey, vector text, no dates."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.analysis.evidence import Run
from harness.analysis.study import REFERENCE, Study

# Okabe and Ito's palette without its yellow, which is too light for a line on white.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (8, 2)))
MARKERS = ("s", "^", "D", "v", "X", "P", "*")
BLOCK = len(COLOURS) - 1
"""Rows of a panel with different colours, next to the black reference row."""
LOOKS = 210
"""Number of different line styles: colours without black, dashes and markers have coprime cycle lengths."""

SETTINGS: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.fonttype": "none",
    "svg.hashsalt": "nas-harness",
    "path.simplify": True,
}


class Styles(NamedTuple):
    """How the rows of a study are drawn."""

    looks: dict[str, dict[str, Any]]
    """The line style of every row that was run."""
    order: dict[str, int]
    """The place of every row that was run among the figures' lines, see :func:`places`."""


def of_rows(study: Study) -> Styles:
    """Return how the rows of a study are drawn. A row with changed settings has the place of the row that it changes."""
    rows = [str(row) for row in study.runs[Run.ROW].unique()]
    known = places(study.page.known_rows, study.page.compared_with, REFERENCE)
    named = {row: (row, study.unchanged(row), study.base(row)) for row in rows}
    order = {row: next((known[name] for name in names if name in known), LOOKS) for row, names in named.items()}
    return Styles(looks(rows, known, REFERENCE), order)


def places(known: Sequence[str], compared_with: Mapping[str, str], reference: str) -> dict[str, int]:
    """Return by registered row its place: rows with the same ``place // BLOCK`` are drawn together, in different colours.

    A row is in the block of the row that it changes. The rows of a method share a block if it has room for them.

    Args:
        known: every registered row, in a fixed order.
        compared_with: by row, the row that it changes.
        reference: the method that the other rows are compared with; its rows are in every panel and have no place.
    """
    methods: dict[str, dict[str, list[str]]] = {}
    for row in known:
        if row.rpartition(":")[2] != reference:
            base = compared_with[row] if compared_with.get(row) in known else row
            families = methods.setdefault(base.partition(":")[0], {})
            family = families.setdefault(base, [])
            family.insert(0, row) if row == base else family.append(row)
    placed: dict[str, int] = {}
    end = 0
    for families in methods.values():
        begin = end = _start(end, sum(map(len, families.values())))
        for family in sorted(families.values(), key=len, reverse=True):
            start = _start(end, len(family))
            if start % BLOCK == 0 and start > begin and len(family) < BLOCK:
                start += 1  # another colour than that of the method's first row, with which it is drawn
            placed |= {row: start + index for index, row in enumerate(family)}
            end = start + len(family)
    return placed


def _start(end: int, size: int) -> int:
    """Return the first place from ``end`` on for rows that stay together: in the next block if this one has no room."""
    return end if end % BLOCK + size <= BLOCK else -(-end // BLOCK) * BLOCK


def looks(rows: Iterable[str], places: Mapping[str, int], reference: str) -> dict[str, dict[str, Any]]:
    """Return the line style of each row. It depends on the name alone, so that a row looks the same in every report.

    Args:
        rows: the rows to draw.
        places: see :func:`places`; an unregistered row gets a free style by a hash of its name.
        reference: the method that the other rows are compared with; only its rows are black.
    """
    styles: dict[str, dict[str, Any]] = {}
    used = set(places.values())
    for row in sorted(set(rows)):
        if row.rpartition(":")[2] == reference:
            styles[row] = _line("#000000", "-", "o")
            continue
        place = places.get(row)
        if place is None:
            place = zlib.crc32(row.encode()) % LOOKS
            while place in used and len(used) < LOOKS:
                place = (place + 1) % LOOKS
            used.add(place)
        styles[row] = _line(COLOURS[1 + place % BLOCK], DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)])
    return styles


def _line(colour: str, dash: Any, marker: str) -> dict[str, Any]:
    return {"color": colour, "linestyle": dash, "marker": marker, "markerfacecolor": "white", "markeredgewidth": 0.9}
