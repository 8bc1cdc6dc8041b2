"""The statistics of nb1shot1/1-digits as Markdown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.nb1shot1.benchmark import NB1Shot1Judge
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.unique import representatives
from benchmarks.training import datasheet
from benchmarks.training.build import Folder
from benchmarks.training.statistics import Floats, accuracies, groups
from benchmarks.training.table import records
from harness.cache import Table

EPOCHS = 108
"""Of NAS-Bench-101's longest trainings."""


def markdown(folder: Folder, note: Callable[[str], None]) -> str:
    """Everything that can be said of the records that are there; ``note`` is told of the search for NAS-Bench-101's table."""
    final, _ = records(folder)
    found = accuracies(final, folder.plan["settings"]["draws"])
    long, space, table = found["long"], NB1Shot1Space(1), LIBRARY.find_table(note)
    kind, theirs = ("", None) if table is None else (table.meta["kind"], {"cifar10": _theirs(table, long.cells.tolist())})
    blocks = [
        datasheet.covered(final, len(representatives())),
        *datasheet.spread(found),
        *datasheet.noise(found, groups(long)),
        *datasheet.best(long, lambda cell: space.to_str(space.at(cell))),
        *datasheet.clock(folder),
        *datasheet.agreement("NAS-Bench-101", long, theirs, kind, f"{EPOCHS} epochs"),
    ]
    return "\n\n".join(blocks) + "\n"


def _theirs(table: Table, cells: list[int]) -> Floats:
    """NAS-Bench-101's mean test accuracy of the cells of these architectures; NaN where the table has none."""
    space = NB1Shot1Space(1)
    judge = NB1Shot1Judge(table, space, EPOCHS)
    return np.array([judge.score(space.at(cell))["cifar10"]["test"] for cell in cells])
