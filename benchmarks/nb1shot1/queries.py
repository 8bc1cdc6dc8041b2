"""Plain queries of NAS-Bench-101's records, outside any search: the trainings of a cell by its graph or its hash.

    from benchmarks.nb1shot1.queries import open_table

    open_table().trainings([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["conv3x3-bn-relu"], 108)

Test values are included, so no method may import this module. A table has the cells of the three 1Shot1 spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.nb1shot1.cell import OPS, prune
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.table import data_of, epochs_of
from harness.cache import Table
from harness.problem import MissingRecord


class Training(NamedTuple):
    """A recorded training."""

    valid: float
    test: float
    """Accuracies after the last epoch, in percent."""
    seconds: float
    """Training time; NaN if it is not known."""


def open_table(path: str | Path | None = None) -> Queries:
    """Return the queries of a table: a record file or a table of plain columns; None: the table that a search would use.

    Raises:
        UserError: there is no table, or the source cannot be imported.
    """
    return Queries(LIBRARY.table(path))


class Queries:
    """The queries of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.epochs = epochs_of(table)
        """Lengths of the recorded trainings."""
        self._rows = {key.decode(): row for row, key in enumerate(table.column("hash").tolist())}

    def hash(self, matrix: Sequence[Sequence[int]], ops: Sequence[str]) -> str:
        """Return the official hash of a cell, without vertices on no path from input to output.

        Args:
            matrix: V x V, upper triangular, entries 0 or 1.
            ops: names of the V - 2 inner operations.

        Raises:
            InvalidCell: NAS-Bench-101 has no such cell.
            ValueError: an operation is unknown.
        """
        return fingerprint(prune(matrix, [OPS.index(op) for op in ops]))

    def trainings(self, matrix: Sequence[Sequence[int]], ops: Sequence[str], epochs: int) -> list[Training]:
        """Return the recorded trainings of a cell; see :meth:`hash`. Raises :class:`MissingRecord` without any."""
        return self.trainings_of(self.hash(matrix, ops), epochs)

    def trainings_of(self, key: str, epochs: int) -> list[Training]:
        """Return the recorded trainings of the cell with a hash. Raises :class:`MissingRecord` without any."""
        if epochs not in self.epochs:
            raise MissingRecord(f"the table has no {epochs}-epoch training, only of {', '.join(map(str, self.epochs))} epochs")
        if key not in self._rows:
            raise MissingRecord(f"cell {key} is in none of the three spaces")
        data, row = data_of(self.table), self._rows[key]
        counts = (self.table.column(f"{split}/{epochs}")[row] for split in ("valid", "test"))
        columns = zip(*counts, self.table.column(f"seconds/{epochs}")[row], strict=True)
        recorded = [
            Training(100 * float(valid) / data.valid, 100 * float(test) / data.test, float(seconds))
            for valid, test, seconds in columns
            if np.minimum(valid, test) >= 0
        ]
        if not recorded:
            raise MissingRecord(f"the table has no {epochs}-epoch training of cell {key}")
        return recorded
