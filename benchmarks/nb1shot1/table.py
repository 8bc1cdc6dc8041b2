"""The schema of an imported NAS-Bench-101 table, and its writer.

Rows are the 66 111 distinct cells of the three spaces, by ascending hash. Columns:

``hash``            32 hex digits each, as bytes;
``valid/EPOCHS``,   int16 of shape (cells, 3): correctly classified images (of 9 984) after the last of EPOCHS epochs, for
``test/EPOCHS``     each repeat; -1 = not recorded;
``seconds/EPOCHS``  float64 of shape (cells, 3): training time, without evaluations; NaN = unknown;
``macs``            float64: multiply-adds of one image, computed;
``space/NUMBER``    int32: the row of each architecture of a space, by the architecture's number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import Cell
from benchmarks.nb1shot1.cells import distinct_cells
from benchmarks.nb1shot1.clock import fit
from benchmarks.nb1shot1.size import network_size
from harness.cache import Table, TableWriter

EPOCHS = (4, 12, 36, 108)
"""Each length is a separate training with a complete schedule."""
REPEATS = 3
CELLS = 66_111
"""Distinct cells of the three spaces."""
MODELLED = "modelled"
"""Kind of a clock that prices every cell of a table, fitted on the cells that were timed."""
IMAGES = 9_984
"""Accuracies are stored as correct counts out of 9 984 images: 39 batches of 256, of a set of 10 000."""


@dataclass(frozen=True)
class Data:
    """The data set of the trainings in a table, and its numbers of training, validation and test images."""

    name: str = "cifar10"
    train: int = 40_000
    valid: int = IMAGES
    test: int = IMAGES


def data_of(table: Table) -> Data:
    """Return the entry ``data`` of ``meta.json``; the data of NAS-Bench-101 if there is no such entry."""
    return Data(**table.meta.get("data", {}))


@dataclass
class Nb101Writer:
    """Records of a source, to be written as a table; the module's docstring describes the arrays."""

    valid: dict[int, npt.NDArray[np.int16]] = field(default_factory=dict)
    test: dict[int, npt.NDArray[np.int16]] = field(default_factory=dict)
    seconds: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)
    clock: dict[str, Any] = field(default_factory=lambda: {"kind": "recorded"})
    """Origin of the seconds: recorded, or fitted with what error. A fit is written in both cases, to price supernets."""
    notes: list[str] = field(default_factory=list)

    def add_epochs(self, epochs: int) -> None:
        """Add empty arrays for trainings of this length."""
        shape = (len(distinct_cells().hashes), REPEATS)
        self.valid[epochs], self.test[epochs] = (np.full(shape, -1, np.int16) for _ in range(2))
        self.seconds[epochs] = np.full(shape, np.nan)

    @property
    def count(self) -> int:
        """Return the number of cells with all repeats of the longest training."""
        return int(complete(self.valid[max(self.valid)], self.test[max(self.test)]).sum())

    def write(self, writer: TableWriter) -> dict[str, Any]:
        """Write the columns. Return their description for ``meta.json``."""
        cells = distinct_cells()
        writer.add("hash", np.array(cells.hashes, dtype="S32"))
        writer.add("macs", np.array([network_size(cell)[1] for cell in cells.cells], dtype=np.float64))
        for number, rows in cells.rows.items():
            writer.add(f"space/{number}", rows)
        for name, columns in (("valid", self.valid), ("test", self.test), ("seconds", self.seconds)):
            for epochs, values in columns.items():
                writer.add(f"{name}/{epochs}", values)
        clock = self.clock if self.clock["kind"] == "fitted" else {**self.clock, **self._fitted(cells.cells)}
        partial = [] if self.count == len(cells.hashes) else [f"records of {self.count:,} of {len(cells.hashes):,} cells"]
        return {"n": self.count, "epochs": sorted(self.valid), "clock": clock, "notes": [*partial, *self.notes]}

    def _fitted(self, cells: list[Cell]) -> dict[str, Any]:
        """Return the clock for trainings that are not recorded, fitted on the recorded ones; empty without any."""
        epochs = max(self.seconds)
        longest = self.seconds[epochs] * (EPOCHS[-1] / epochs)
        timed = np.flatnonzero(~np.isnan(longest).any(axis=1))
        return asdict(fit([cells[row] for row in timed], longest[timed].mean(axis=1))) if len(timed) else {}


def complete(valid: npt.NDArray[np.int16], test: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Return a mask of the cells with all repeats of a training."""
    return np.asarray((valid >= 0).all(axis=1) & (test >= 0).all(axis=1))


def epochs_of(table: Table) -> tuple[int, ...]:
    """Return the lengths of training that a table records, ascending."""
    return tuple(sorted(int(name.removeprefix("valid/")) for name in table.columns if name.startswith("valid/")))
