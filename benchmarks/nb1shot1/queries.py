"""NAS-Bench-101's records of the cells in the 1Shot1 spaces as a library; see :mod:`harness.tables`. No method may import this.

    from harness import tables

    table = tables.open("nb1shot1")
    table.info(([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["conv3x3-bn-relu"]), epochs=108, seed=0)

A cell is named by its matrix and the names of its inner operations, or by its graph hash. In a table of one space,
``nb1shot1/1`` to ``nb1shot1/3`` and ``nb1shot1/1-digits``, it also has the number, the text and the tuple of an architecture.
In ``nb1shot1``, the cells of all three spaces, an index is a position in the order of the hashes. Seeds are repeats: 0, 1, 2.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nb1shot1.cell import OPS, Cell, InvalidCell, prune
from benchmarks.nb1shot1.digits_bundle import BUNDLE
from benchmarks.nb1shot1.fingerprint import fingerprint
from benchmarks.nb1shot1.library import LIBRARY
from benchmarks.nb1shot1.macro import DIGITS, PAPER
from benchmarks.nb1shot1.size import network_size
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from benchmarks.nb1shot1.table import data_of, epochs_of
from harness.cache import Table
from harness.errors import UserError
from harness.problem import MissingRecord
from harness.space import InvalidArchitecture, as_arch
from harness.tables import BenchmarkTable, Opener, Values

SPLITS = ("valid", "test")


class NB101Table(BenchmarkTable):
    """The queries of one table.

    Args:
        numbers: the 1Shot1 spaces whose cells the table has.
    """

    def __init__(self, table: Table, name: str, source: str, numbers: Sequence[int]) -> None:
        self._data = data_of(table)
        super().__init__(name, source, self._data.name)
        self.table = table
        self.datasets = (self._data.name,)
        self._spaces = [NB1Shot1Space(number) for number in numbers]
        self._space = self._spaces[0] if len(numbers) == 1 else None
        self._hashes: npt.NDArray[np.bytes_] = table.column("hash")
        self._rows = np.arange(len(self._hashes)) if self._space is None else table.column(f"space/{self._space.number}")
        """The row of each index."""

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, cell: Any) -> str:
        """Return the text of an architecture; in a table of several spaces, the hash of a cell."""
        index = self.index(cell)
        return self._hash(index) if self._space is None else self._space.to_str(self._space.at(index))

    def index(self, cell: Any) -> int:
        if isinstance(cell, str):
            return self._of_text(cell)
        if isinstance(cell, Sequence) and len(cell) == 2 and not isinstance(cell[1], int):
            return self._of_hash(self._hashed(*cell))
        try:
            index = operator.index(cell)
        except TypeError:
            if self._space is None:
                raise InvalidArchitecture(
                    f"{cell!r:.100} is of one space; open {', '.join(_SPACES)}, or pass its matrix and operations"
                ) from None
            return self._space.index(as_arch(cell))
        if not 0 <= index < len(self):
            raise InvalidArchitecture(f"index {index} is outside 0 to {len(self) - 1}")
        return index

    def canonical(self, cell: Any) -> str:
        return self._hash(self.index(cell))

    def graph(self, cell: Any) -> tuple[list[list[int]], list[str]]:
        """Return matrix and inner operations of a cell, without vertices on no path from input to output."""
        pruned = self._cell(self.index(cell))
        return [list(row) for row in pruned.matrix], [OPS[op] for op in pruned.ops]

    def epochs(self, dataset: str | None = None) -> tuple[int, ...]:
        self.dataset(dataset)
        return epochs_of(self.table)

    def seeds(self, dataset: str | None = None, epochs: int | str | None = None) -> tuple[str, ...]:
        return tuple(map(str, range(self.table.column(f"valid/{self.length(dataset, epochs)}").shape[1])))

    def splits(self, dataset: str | None = None) -> tuple[str, ...]:
        self.dataset(dataset)
        return SPLITS

    def info(
        self,
        cell: Any,
        dataset: str | None = None,
        epochs: int | str | None = None,
        seed: int | str | None = None,
        epoch: int | None = None,
    ) -> dict[str, float | None]:
        """Return ``valid-accuracy`` and ``test-accuracy`` in percent, and ``train-all-time``, the seconds of the training."""
        index = self.index(cell)
        names = {
            "train-all-time": ("train", "seconds"),
            "valid-accuracy": ("valid", "accuracy"),
            "test-accuracy": ("test", "accuracy"),
        }
        columns = {key: self.values(dataset, split, epochs, seed, epoch, metric) for key, (split, metric) in names.items()}
        info = {key: None if (value := column.item(index)) != value else value for key, column in columns.items()}
        if info["valid-accuracy"] is None and info["test-accuracy"] is None:
            what = "" if seed is None else f", seed {seed}"
            raise MissingRecord(
                f"{self.name} has no {self.length(dataset, epochs)}-epoch training of cell {self._hash(index)}{what}"
            )
        return info

    def _costs_of(self, dataset: str, epochs: int) -> dict[str, Values | None]:
        """Return the size of the network around each cell, computed from its graph; of all spaces in seconds."""
        return {"params": self._params[self._rows], "flops": self.table.column("macs")[self._rows] / 1e6}

    def trials(self, dataset: str | None = None, epochs: int | str | None = None) -> dict[int, int]:
        valid = self.table.column(f"valid/{self.length(dataset, epochs)}")
        return dict(sorted(Counter((valid >= 0).sum(axis=1)[self._rows].tolist()).items()))

    def _column(self, dataset: str, split: str, epochs: int, seed: str | None, epoch: int | None, metric: str) -> Values:
        if epoch is not None or metric == "loss":
            raise MissingRecord(f"{self.name} has accuracies after the last epoch and training seconds, no other values")
        if (split == "train") != (metric == "seconds"):
            raise MissingRecord(f"{self.name} has accuracies of {' and '.join(SPLITS)}, and seconds of train")
        if metric == "seconds":
            repeats = self.table.column(f"seconds/{epochs}")
        else:
            counts, images = self.table.column(f"{split}/{epochs}"), getattr(self._data, split)
            repeats = np.where(counts < 0, np.nan, counts * 100.0 / images)
        chosen = repeats if seed is None else repeats[:, [int(seed)]]
        known = ~np.isnan(chosen)
        mean = np.full(len(chosen), np.nan)
        np.divide(np.where(known, chosen, 0.0).sum(axis=1), known.sum(axis=1), out=mean, where=known.any(axis=1))
        return mean[self._rows]

    def _parts(self, dataset: str) -> Sequence[str]:
        return ("train", *SPLITS)

    def _hash(self, index: int) -> str:
        return str(self._hashes[self._rows[index]], "ascii")

    @staticmethod
    def _hashed(matrix: Sequence[Sequence[int]], ops: Sequence[str | int]) -> str:
        """Return the hash of a graph. ``ops`` are names or numbers; ``input`` and ``output`` may be at their ends."""
        inner = ops[1:-1] if len(ops) == len(matrix) else ops
        try:
            return fingerprint(prune(matrix, [OPS.index(op) if isinstance(op, str) else op for op in inner]))
        except InvalidCell as error:
            raise InvalidArchitecture(str(error)) from None
        except ValueError:
            wrong = next(op for op in inner if op not in OPS)
            raise InvalidArchitecture(f"no operation {wrong!r}; there is {', '.join(OPS)}") from None

    def _of_hash(self, key: str) -> int:
        if key not in self._first:
            raise MissingRecord(f"cell {key} is in none of the spaces {', '.join(str(space.number) for space in self._spaces)}")
        return self._first[key]

    def _of_text(self, text: str) -> int:
        if "(" not in text:
            return self._of_hash(text)
        error = InvalidArchitecture(text)
        for space in self._spaces:
            try:
                arch = space.from_str(text)
            except InvalidArchitecture as reason:
                error = reason
                continue
            return space.index(arch) if self._space is not None else self._of_hash(space.canonical(arch))
        raise error

    @cached_property
    def _first(self) -> dict[str, int]:
        """Return the first index of each hash."""
        rows, first = np.unique(self._rows, return_index=True)
        return {key.decode(): index for key, index in zip(self._hashes[rows].tolist(), first.tolist(), strict=True)}

    @cached_property
    def _archs(self) -> dict[int, tuple[NB1Shot1Space, int]]:
        """Return a space that has the cell of each row, and the number of its architecture there."""
        archs: dict[int, tuple[NB1Shot1Space, int]] = {}
        for space in self._spaces:
            rows, first = np.unique(self.table.column(f"space/{space.number}"), return_index=True)
            archs |= {row: (space, index) for row, index in zip(rows.tolist(), first.tolist(), strict=True) if row not in archs}
        return archs

    def _cell(self, index: int) -> Cell:
        space, number = (self._space, index) if self._space is not None else self._archs[index]
        return space.cell(space.at(number))

    @cached_property
    def _params(self) -> Values:
        """Return the millions of parameters of each row."""
        macro = DIGITS if self._data.name == "digits" else PAPER
        params = np.full(len(self._hashes), np.nan)
        for row, (space, number) in self._archs.items():
            params[row] = network_size(space.cell(space.at(number)), macro)[0] / 1e6
        return params


_SPACES: Mapping[str, int] = {f"nb1shot1/{number}": number for number in PARENTS}


def tables() -> dict[str, Opener]:
    """Return what opens each table, by the benchmark's id; ``nb1shot1`` is all cells of the three spaces."""

    def official(name: str, numbers: Sequence[int]) -> Opener:
        def opened(source: str | Path | None) -> NB101Table:
            table = LIBRARY.table(source)
            return NB101Table(table, name, LIBRARY.line(table), numbers)

        return opened

    def digits(source: str | Path | None) -> NB101Table:
        if source is not None:
            raise UserError(f"{BUNDLE.name} is bundled and has no other source, not {source}; open 'nb1shot1/1' with it")
        table = BUNDLE.open()
        return NB101Table(table, BUNDLE.name, table.meta["kind"], (1,))

    spaces = {name: official(name, (number,)) for name, number in _SPACES.items()}
    return {"nb1shot1": official("nb1shot1", tuple(PARENTS)), BUNDLE.name: digits, **spaces}
