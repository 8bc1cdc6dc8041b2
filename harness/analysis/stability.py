"""How much the proposed cells of a method change with a setting: CoNAS' table 6, for every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from harness.analysis.evidence import Cell
from harness.analysis.study import RANDOM, Study

Switches = frozenset[tuple[str, int, int, str]]


def switches(cells: Sequence[Cell]) -> Switches | None:
    """Return the operations that are on: (cell, source, target, operation); None if no edge of the cells has an operation."""
    operations = [(cell.name, edge, edge.operation) for cell in cells for edge in cell.edges]
    on = frozenset((name, edge.source, edge.target, op.name) for name, edge, op in operations if op and op.kind != "zero")
    return on if any(op for *_, op in operations) else None


def proposals(study: Study, benchmark: str, row: str) -> dict[int, Switches]:
    """Return by world the switches of each finished search's proposal."""
    by_world = {world: switches(cells) for world, (_, cells) in study.cells(benchmark, row).items()}
    return {world: on for world, on in by_world.items() if on is not None}


def distance(study: Study, benchmark: str, row: str, base: str) -> pd.Series:
    """Return by world the Hamming distance between the proposals of two rows, in switches."""
    ours, theirs = (proposals(study, benchmark, name) for name in (row, base))
    return pd.Series({world: float(len(ours[world] ^ theirs[world])) for world in ours if world in theirs}, dtype=float)


def changed(study: Study, benchmark: str) -> Iterator[tuple[str, str]]:
    """Yield (row, base) of the rows with changed settings and of random cells, each with the row without the changes."""
    ran = study.rows(benchmark)
    random = [row for row in ran if row.partition("[")[0].partition(":")[0] == RANDOM]
    for base in (row for row in ran if "[" not in row):
        rows = [row for row in ran if row != base and study.unchanged(row) == base]
        yield from ((row, base) for row in dict.fromkeys([*rows, *random]) if rows and row != base)
