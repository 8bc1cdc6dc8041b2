"""The schema of an imported NAS-Bench-101 table, and how to read one.

Rows are the 66 111 different cells of the three spaces, by ascending hash. Columns:

``hash``            32 hex digits each, as bytes;
``valid/EPOCHS``,   int16 of shape (cells, 3): images classified rightly (of 9 984) after the last of EPOCHS epochs, for each
``test/EPOCHS``     repeat; -1 = not recorded;
``seconds/EPOCHS``  float64 of shape (cells, 3): training time, without evaluations; NaN = not known;
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
"""Each is a training of its own, with its own complete schedule."""
REPEATS = 3
CELLS = 66_111
"""Different cells of the three spaces."""
MODELLED = "modelled"
"""The kind of a clock that priced every cell of a table, after some were timed."""
IMAGES = 9_984
"""Every accuracy is a count of so many images: 39 batches of 256, of a set of 10 000."""

Counts = npt.NDArray[np.int16]
Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """What the trainings of a table were made on: a data set, and how many images of it train and are counted."""

    name: str = "cifar10"
    train: int = 40_000
    valid: int = IMAGES
    test: int = IMAGES


def data_of(table: Table) -> Data:
    """As ``meta.json`` says under ``data``; where it says nothing, NAS-Bench-101's."""
    return Data(**table.meta.get("data", {}))


@dataclass
class Records:
    """What a source records; see the module's docstring for the arrays."""

    valid: dict[int, Counts] = field(default_factory=dict)
    test: dict[int, Counts] = field(default_factory=dict)
    seconds: dict[int, Seconds] = field(default_factory=dict)
    clock: dict[str, Any] = field(default_factory=lambda: {"kind": "recorded"})
    """Where the seconds come from: recorded, or fitted and how well. Written with a fit either way, for supernets."""
    notes: list[str] = field(default_factory=list)

    def add_epochs(self, epochs: int) -> None:
        """Makes room for trainings of so many epochs, none recorded yet."""
        shape = (len(distinct_cells().hashes), REPEATS)
        self.valid[epochs], self.test[epochs] = (np.full(shape, -1, np.int16) for _ in range(2))
        self.seconds[epochs] = np.full(shape, np.nan)

    @property
    def count(self) -> int:
        """Cells with all repeats of the longest training."""
        return int(complete(self.valid[max(self.valid)], self.test[max(self.test)]).sum())

    def write(self, writer: TableWriter) -> dict[str, Any]:
        """Writes the columns; returns what ``meta.json`` says of them."""
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
        """The clock of what was not recorded, as recorded trainings have it; nothing without any."""
        epochs = max(self.seconds)
        longest = self.seconds[epochs] * (EPOCHS[-1] / epochs)
        timed = np.flatnonzero(~np.isnan(longest).any(axis=1))
        return asdict(fit([cells[row] for row in timed], longest[timed].mean(axis=1))) if len(timed) else {}


def complete(valid: Counts, test: Counts) -> npt.NDArray[np.bool_]:
    """Which cells have all repeats of a training."""
    return np.asarray((valid >= 0).all(axis=1) & (test >= 0).all(axis=1))


def epochs_of(table: Table) -> tuple[int, ...]:
    """The lengths of training that a table records, ascending."""
    return tuple(sorted(int(name.removeprefix("valid/")) for name in table.columns if name.startswith("valid/")))
