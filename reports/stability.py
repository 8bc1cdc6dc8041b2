"""How much the proposed cells of a method change with a setting: CoNAS' table 6, for every method."""

from __future__ import annotations

from itertools import combinations

from harness.analysis.published import Line
from harness.analysis.stability import changed, distance, proposals
from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from reports import sources
from reports.formats import MISSING, number, spread
from reports.layout import Table
from reports.lines import tabled


def distances(study: Study, benchmark: str) -> Table | None:
    """Compare rows with changed settings with their rows without the changes; None if no such pair ran."""
    every = study.printed_lines(benchmark, "hamming_distance")
    printed = {row: line for row, its in every.items() for line in its if line["protocol"] == study.page.protocol}
    lines = []
    for row, base in changed(study, benchmark):
        moved = distance(study, benchmark, row, base)
        own = [float(len(first ^ second)) for first, second in combinations(proposals(study, benchmark, row).values(), 2)]
        line = {"method": study.label(row), "against": study.label(base), "worlds": str(len(moved))}
        line["Hamming distance"] = spread(*mean_std(moved.to_numpy()), 1)
        line["between its own seeds"] = spread(*mean_std(own), 1)
        if printed:
            line["published"] = _printed(printed[row]) if row in printed else MISSING
        if len(moved):
            lines.append(line)
    return tabled("Switches (an operation on an edge, on or off) that differ between the cells that two settings found.", lines)


def _printed(line: Line) -> str:
    return sources.cited(f"{number(line['mean'], 0)} ({sources.source(line)})", [line])
