"""The texts of a benchmark: Penn Treebank, or the beginning of it with a small vocabulary. Imports no torch."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.darts_rnn.library import LIBRARY
from benchmarks.darts_rnn.texts import UNKNOWN
from harness.cache import Table
from harness.errors import UserError

Ids = npt.NDArray[np.int64]
"""Numbers of tokens, in the order of the text."""


@dataclass(frozen=True)
class Cut:
    """How much of the published texts a benchmark uses."""

    name: str
    train: int | None = None
    """First tokens of the training text; None: all."""
    types: int | None = None
    """The commonest types of the training text; other words become ``<unk>``. None: all."""


CUTS: Final = {
    "ptb": Cut("Penn Treebank"),
    "ptb-small": Cut("Penn Treebank, first 200 000 training tokens, vocabulary of 2 000", 200_000, 2_000),
}
"""By name of the data set."""


@dataclass(frozen=True)
class Corpus:
    """A data set. It has no reference to a text, so that a search cannot reach the test text through it."""

    dataset: str
    name: str
    types: int
    """Size of the vocabulary."""
    checksum: str

    def part(self, name: str) -> Ids:
        """Return the training, the validation or the test text."""
        cut, table = CUTS[self.dataset], _table()
        ids: Ids = _renumbering(self.dataset)[table.column(name)[: cut.train if name == "train" else None]]
        return ids


@cache
def corpus(dataset: str) -> Corpus:
    """Return a data set by name.

    Raises:
        UserError: an unknown name, or Penn Treebank is missing.
    """
    if dataset not in CUTS:
        raise UserError(f"no text {dataset!r} to train on; there are {', '.join(CUTS)}")
    cut, table = CUTS[dataset], _table()
    identity = f"{table.checksum} {cut.train} {cut.types}"
    return Corpus(dataset, cut.name, int(_renumbering(dataset).max()) + 1, hashlib.sha256(identity.encode()).hexdigest())


@cache
def _renumbering(dataset: str) -> Ids:
    """Return, for each number of the table, the number in the data set."""
    table, types = _table(), CUTS[dataset].types
    words = table.column("vocabulary").tobytes().decode().split("\n")
    if types is None or types >= len(words):
        return np.arange(len(words))
    counts = np.bincount(table.column("train"), minlength=len(words))
    common = np.sort(np.argsort(-counts, kind="stable")[:types])
    unknown = words.index(UNKNOWN) if UNKNOWN in words else -1
    if unknown not in common:
        raise UserError(f"{UNKNOWN} is not among the {types:,} commonest types of the text; take a larger vocabulary")
    numbers = np.full(len(words), np.searchsorted(common, unknown))
    numbers[common] = np.arange(types)
    return numbers


@cache
def _table() -> Table:
    table = LIBRARY.find_table(lambda line: print(line, file=sys.stderr, flush=True))
    if table is None:
        raise UserError("Penn Treebank is missing; see `python -m harness.data status`")
    return table
