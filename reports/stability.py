"""How much the proposed cells of a method change with a setting: CoNAS' table 6, for every method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from reports import published as papers
from reports.evidence import Cell
from reports.formats import MISSING, number, spread
from reports.layout import Cited, Column, Table
from reports.statistics import mean_std
from reports.study import Study

RANDOM = "random_cell"
"""The method whose cells are compared with those of the others."""

Switches = frozenset[tuple[str, int, int, str]]


def switches(cells: Sequence[Cell]) -> Switches | None:
    """Return the operations that are on: (cell, source, target, operation); None if no edge of the cells has an operation."""
    operations = [(cell.name, edge, edge.operation) for cell in cells for edge in cell.edges]
    on = frozenset((name, edge.source, edge.target, op.name) for name, edge, op in operations if op and op.kind != "zero")
    return on if any(op for *_, op in operations) else None


def distances(study: Study, benchmark: str) -> Table | None:
    """Compare rows with changed settings with their rows without the changes; None if no such pair ran."""
    names = ["method", "against", "worlds", "Hamming distance", "between its own seeds"]
    printed = _printed(study, benchmark)
    table = Table(
        "Hamming distance, in switches (an operation on an edge of a cell, on or off), between the cells that one method found "
        "in the same world under two settings; mean ± standard deviation (ddof 0). Between its own seeds: of the cells that "
        "it found in different worlds, for comparison. Random cells are compared with the cells of the same world."
        + (" Published: the distance that the paper prints." if printed else ""),
        [Column(name, right=name not in names[:2]) for name in (*names, *(["published"] if printed else []))],
    )
    ran = study.rows(benchmark)
    random = [row for row in ran if row.partition("[")[0].partition(":")[0] == RANDOM]
    for base in (row for row in ran if "[" not in row):
        changed = [row for row in ran if row != base and study.unchanged(row) == base]
        for row in [*changed, *(row for row in random if row not in (base, *changed))] if changed else ():
            proposals, moved = _proposals(study, benchmark, row), distance(study, benchmark, row, base)
            own = [float(len(first ^ second)) for first, second in combinations(proposals.values(), 2)]
            if len(moved):
                ends = [spread(*mean_std(values), 1) if len(values) else MISSING for values in (moved.to_numpy(), own)]
                paper = [printed.get(row, MISSING)] if printed else []
                table.add([study.label(row), study.label(base), str(len(moved)), *ends, *paper])
    return table if table.rows else None


def distance(study: Study, benchmark: str, row: str, base: str) -> pd.Series:
    """Return by world the Hamming distance between the proposals of two rows, in switches."""
    ours, theirs = (_proposals(study, benchmark, name) for name in (row, base))
    return pd.Series({world: float(len(ours[world] ^ theirs[world])) for world in ours if world in theirs}, dtype=float)


def _printed(study: Study, benchmark: str) -> dict[str, str]:
    """Return by row the Hamming distance that a paper prints for it under the page's protocol, with the source."""
    table = study.published
    wanted = (table["benchmark"] == benchmark) & (table["protocol"] == study.page.protocol) & (table["row"] != "")
    texts: dict[str, str] = {}
    for record in table[wanted & (table["metric"] == "hamming_distance")].to_dict("records"):
        line = {str(name): value for name, value in record.items()}
        source = papers.source(line)
        text = Cited(f"{number(line['mean'], 0)} ({source})", [papers.CITATIONS[line["paper"]]])
        texts |= dict.fromkeys(line["row"].split(";"), text)
    return texts


def _proposals(study: Study, benchmark: str, row: str) -> dict[int, Switches]:
    """Return by world the switches of each finished search's proposal."""
    by_world = {world: switches(cells) for world, (_, cells) in study.cells(benchmark, row).items()}
    return {world: on for world, on in by_world.items() if on is not None}
