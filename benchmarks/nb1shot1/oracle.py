"""The search side: validation accuracies and costs, one recorded repeat drawn for each query."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.table import data_of, epochs_of
from harness.cache import Table
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.seeds import mix
from harness.space import Arch


class Signal:
    """The part of a table that a search may read: validation accuracies and costs of one space."""

    def __init__(self, table: Table, space: NB1Shot1Space, recipe: int) -> None:
        self.fidelities = tuple(epochs for epochs in epochs_of(table) if epochs <= recipe)
        if recipe not in self.fidelities:
            raise UserError(f"the table has no trainings of {recipe} epochs; it has {', '.join(map(str, epochs_of(table)))}")
        self.index, self.data = space.index, data_of(table)
        self.rows: npt.NDArray[np.int32] = table.column(f"space/{space.number}")
        self.valid = {epochs: table.column(f"valid/{epochs}") for epochs in self.fidelities}
        self.seconds = {epochs: table.column(f"seconds/{epochs}") for epochs in self.fidelities}
        recorded = np.intersect1d(self.rows, np.flatnonzero((self.valid[recipe] >= 0).all(axis=1)))
        self.mean_cost = float(self.seconds[recipe][recorded].mean())
        """Mean charged seconds of one query to the longest training, over the space's recorded cells."""
        self.repeats = self.valid[recipe].shape[1]
        self.macs: npt.NDArray[np.float64] = table.column("macs")


class NB1Shot1Oracle:
    """Oracle that draws one of three repeats per query, by world, architecture, epochs and number of earlier equal queries.

    A query costs its training; NAS-Bench-101 charges no evaluation.
    """

    __slots__ = ("_images", "_index", "_macs", "_rows", "_seconds", "_train", "_valid", "_world", "fidelities")

    def __init__(self, signal: Signal, world: int) -> None:
        self.fidelities = signal.fidelities
        self._index = signal.index
        self._images, self._train = signal.data.valid, signal.data.train
        self._rows = signal.rows
        self._valid = signal.valid
        self._seconds = signal.seconds
        self._macs = signal.macs
        self._world = world

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        index = self._index(arch)
        row = self._rows.item(index)
        epochs = self.fidelities[-1] if fidelity is None else fidelity
        try:
            counts = self._valid[epochs][row]
        except KeyError:
            lengths = ", ".join(map(str, self.fidelities))
            raise MissingRecord(f"no training of {epochs} epochs in this table; there is {lengths}") from None
        repeat = mix(self._world ^ (index << 24) ^ (epochs << 12) ^ asked) % len(counts)
        right = counts.item(repeat)
        if right < 0:  # rare: the recorded repeats are listed only if the drawn one is missing
            recorded = np.flatnonzero(counts >= 0).tolist()
            if not recorded:
                raise MissingRecord(f"the table has no {epochs}-epoch training of architecture {index}")
            repeat = recorded[repeat % len(recorded)]
            right = counts.item(repeat)
        macs = self._macs.item(row) * self._train * epochs
        return right * 100 / self._images, self._seconds[epochs].item(row, repeat), epochs, macs
