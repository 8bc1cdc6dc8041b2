"""The style of all figures: colour-blind safe, readable in grey, vector text, no dates."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

# Okabe and Ito's palette without its yellow, which is too light for a line on white.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (8, 2)))
MARKERS = ("s", "^", "D", "v", "X", "P", "*")
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


def looks(rows: Iterable[str], known: Sequence[str], reference: str) -> dict[str, dict[str, Any]]:
    """Return the line style of each row. It depends on the name alone, so that a row looks the same in every report.

    Args:
        rows: the rows to draw.
        known: every registered row, in a fixed order; an unregistered row gets a free style by a hash of its name.
        reference: the method that the other rows are compared with; only its rows are black.
    """
    places = {row: index for index, row in enumerate(known)}
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
        styles[row] = _line(COLOURS[1 + place % (len(COLOURS) - 1)], DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)])
    return styles


def _line(colour: str, dash: Any, marker: str) -> dict[str, Any]:
    return {"color": colour, "linestyle": dash, "marker": marker, "markerfacecolor": "white", "markeredgewidth": 0.9}
