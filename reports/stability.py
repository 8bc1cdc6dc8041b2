"""How far the cells that a method finds move when a setting changes: CoNAS' table 6, for every method."""

from __future__ import annotations

from itertools import combinations

from reports import cells, genotypes
from reports.formats import MISSING, spread
from reports.layout import Column, Table
from reports.statistics import mean_std
from reports.study import Study

Switches = frozenset[tuple[str, int, int, str]]


def switches(text: str) -> Switches | None:
    """What is on in a cell: (kind of cell, source, target, operation); None for architectures without such."""
    if found := genotypes.edges(text):
        return frozenset((kind, *edge) for kind, edges in found.items() for edge in edges if edge[2])
    edges = cells.edges(text)
    return frozenset(("", *edge) for edge in edges if edge[2] != "none") if edges else None


def distances(study: Study, benchmark: str) -> Table | None:
    """Rows with changed settings against the first row of their name; None where there are none."""
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
    for base, *others in families.values():
        if not others:
            continue
        reference = _found(study, benchmark, base)
        for row in others:
            mine = _found(study, benchmark, row)
            moved = [float(len(mine[world] ^ reference[world])) for world in mine if world in reference]
            own = [float(len(one ^ other)) for one, other in combinations(mine.values(), 2)]
            if moved:
                ends = [spread(*mean_std(values), 1) if values else MISSING for values in (moved, own)]
                table.add([study.label(row), study.label(base), str(len(moved)), *ends])
    return table if table.rows else None


def _found(study: Study, benchmark: str, row: str) -> dict[int, Switches]:
    """By world, the cell that a finished search ended with."""
    searches = study.searches(benchmark, row)
    done = searches[searches["status"] == "done"]
    found = {
        int(world): switches(text) for world, text in zip(done["world"], done["arch"], strict=True) if isinstance(text, str)
    }
    return {world: cell for world, cell in found.items() if cell is not None}
