"""How much the proposed cells of a method change with a setting: CoNAS' table 6, for every method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from reports import published as papers
from reports.evidence import Cell
from reports.formats import MISSING, number, spread
from reports.layout import Cited, Table
from reports.lines import tabled
from reports.statistics import mean_std
from reports.study import RANDOM, Study

Switches = frozenset[tuple[str, int, int, str]]


def switches(cells: Sequence[Cell]) -> Switches | None:
    """Return the operations that are on: (cell, source, target, operation); None if no edge of the cells has an operation."""
    operations = [(cell.name, edge, edge.operation) for cell in cells for edge in cell.edges]
    on = frozenset((name, edge.source, edge.target, op.name) for name, edge, op in operations if op and op.kind != "zero")
    return on if any(op for *_, op in operations) else None


def distances(study: Study, benchmark: str) -> Table | None:
    """Compare rows with changed settings with their rows without the changes; None if no such pair ran."""
    every = study.printed_lines(benchmark, "hamming_distance")
    printed = {row: line for row, its in every.items() for line in its if line["protocol"] == study.page.protocol}
    ran = study.rows(benchmark)
    random = [row for row in ran if row.partition("[")[0].partition(":")[0] == RANDOM]
    lines = []
    for base in (row for row in ran if "[" not in row):
        changed = [row for row in ran if row != base and study.unchanged(row) == base]
        for row in [*changed, *(row for row in random if row not in (base, *changed))] if changed else ():
            proposals, moved = _proposals(study, benchmark, row), distance(study, benchmark, row, base)
            own = [float(len(first ^ second)) for first, second in combinations(proposals.values(), 2)]
            line = {"method": study.label(row), "against": study.label(base), "worlds": str(len(moved))}
            line["Hamming distance"] = spread(*mean_std(moved.to_numpy()), 1)
            line["between its own seeds"] = spread(*mean_std(own), 1)
            if printed:
                line["published"] = _printed(printed[row]) if row in printed else MISSING
            if len(moved):
                lines.append(line)
    return tabled("Switches (an operation on an edge, on or off) that differ between the cells that two settings found.", lines)


def distance(study: Study, benchmark: str, row: str, base: str) -> pd.Series:
    """Return by world the Hamming distance between the proposals of two rows, in switches."""
    ours, theirs = (_proposals(study, benchmark, name) for name in (row, base))
    return pd.Series({world: float(len(ours[world] ^ theirs[world])) for world in ours if world in theirs}, dtype=float)


def _printed(line: papers.Line) -> str:
    return Cited(f"{number(line['mean'], 0)} ({papers.source(line)})", [papers.CITATIONS[line["paper"]]])


def _proposals(study: Study, benchmark: str, row: str) -> dict[int, Switches]:
    """Return by world the switches of each finished search's proposal."""
    by_world = {world: switches(cells) for world, (_, cells) in study.cells(benchmark, row).items()}
    return {world: on for world, on in by_world.items() if on is not None}
