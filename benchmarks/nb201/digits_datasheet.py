"""The statistics of nb201/digits as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmarks.nb201 import digits_statistics as statistics
from benchmarks.nb201.library import LIBRARY
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.table import Records
from benchmarks.nb201.unique import representatives
from benchmarks.training import datasheet
from benchmarks.training.build import Folder
from benchmarks.training.datasheet import points
from benchmarks.training.statistics import Accuracies, accuracies, groups
from benchmarks.training.table import records


def markdown(folder: Folder, note: Callable[[str], None]) -> str:
    """Everything that can be said of the records that are there; ``note`` is told of the search for NAS-Bench-201's table."""
    final, _ = records(folder)
    found = accuracies(final, folder.plan["settings"]["draws"])
    long, space, table = found["long"], NB201Space(), LIBRARY.find_table(note)
    among = groups(long)
    among = {"all": among["all"], "live": statistics.alive(long), **among}
    real = statistics.theirs(long, Records(table)) if table else None
    blocks = [
        datasheet.covered(final, len(representatives())),
        *datasheet.spread(found),
        *datasheet.noise(found, among),
        *_equal(found),
        *datasheet.best(long, lambda cell: space.to_str(space.at(cell))),
        *datasheet.clock(folder),
        *datasheet.agreement("NAS-Bench-201", long, real, table.meta["kind"] if table else "", "200 epochs"),
    ]
    return "\n\n".join(blocks) + "\n"


def _equal(found: dict[str, Accuracies]) -> Iterable[str]:
    rows = []
    for recipe, one in found.items():
        equal = statistics.equal_cells(one)
        numbers = [points(equal.found), points(equal.expected), points(equal.different)]
        rows.append([recipe, f"{equal.cells:,}", f"{equal.classes:,}", *numbers])
    yield (
        "Cells of one isomorphic class share a training, so the records cannot say how well such cells agree; `siblings` "
        "trains a sample of them. What the records do say: live cells that are the same sum of operations but have different "
        "unique strings were trained apart. Standard deviation of their mean validation accuracies within such a class, what "
        "the seeds alone would make of it, and that of the same cells with classes ignored, points:"
    )
    yield datasheet.table(["recipe", "cells", "classes", "within a class", "by seeds alone", "classes ignored"], rows)
