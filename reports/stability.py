"""How much the proposed cells of a method change with a setting: CoNAS' table 6, for every method."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from reports.evidence import Cell
from reports.formats import MISSING, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study

Switches = frozenset[tuple[str, int, int, str]]


def switches(cells: Sequence[Cell]) -> Switches | None:
    """Return the operations that are on: (cell, source, target, operation); None if no edge of the cells has an operation."""
    operations = [(cell.name, edge, edge.operation) for cell in cells for edge in cell.edges]
    on = frozenset((name, edge.source, edge.target, op.name) for name, edge, op in operations if op and op.kind != "zero")
    return on if any(op for *_, op in operations) else None


def distances(study: Study, benchmark: str) -> Table | None:
    """Compare rows with changed settings with the first row of their name; None if there are no such rows."""
    names = ["method", "against", "worlds", "Hamming distance", "between its own seeds"]
    table = Table(
        "Hamming distance, in switches (an operation on an edge of a cell, on or off), between the cells that one method found "
        "in the same world under two settings; mean ± standard deviation (ddof 0). Between its own seeds: of the cells that "
        "it found in different worlds, for comparison.",
        [Column(name, right=name not in names[:2]) for name in names],
    )
    families: dict[str, list[str]] = {}
    for row in sorted(study.rows(benchmark), key=lambda row: "[" in row):
        families.setdefault(row.partition("[")[0], []).append(row)
    for base, *changed in families.values():
        if not changed:
            continue
        reference = _proposals(study, benchmark, base)
        for row in changed:
            proposals = _proposals(study, benchmark, row)
            moved = [float(len(proposals[world] ^ reference[world])) for world in proposals if world in reference]
            own = [float(len(first ^ second)) for first, second in combinations(proposals.values(), 2)]
            if moved:
                ends = [spread(*mean_std(values), 1) if values else MISSING for values in (moved, own)]
                table.add([study.label(row), study.label(base), str(len(moved)), *ends])
    return table if table.rows else None


def _proposals(study: Study, benchmark: str, row: str) -> dict[int, Switches]:
    """Return by world the switches of each finished search's proposal."""
    by_world = {world: switches(cells) for world, (_, cells) in study.cells(benchmark, row).items()}
    return {world: on for world, on in by_world.items() if on is not None}
