"""The texts of a benchmark: Penn Treebank, its beginning, or the novel that ships with the package. Imports no torch."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.darts_rnn.library import LIBRARY
from benchmarks.darts_rnn.novel import Novel
from benchmarks.darts_rnn.texts import UNKNOWN
from harness.errors import UserError

Ids = npt.NDArray[np.int64]
"""Numbers of tokens, in the order of the text."""


class Texts(Protocol):
    """Three texts as numbers of tokens: the imported table of Penn Treebank, or the novel."""

    @property
    def checksum(self) -> str:
        """Return what identifies the content."""
        ...

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return ``train``, ``valid`` or ``test``; or ``vocabulary``, the bytes of a line for each type."""
        ...


@dataclass(frozen=True)
class Cut:
    """How much of the texts a benchmark uses."""

    name: str
    train: int | None = None
    """First tokens of the training text; None: all."""
    types: int | None = None
    """The commonest types of the training text, and ``<unk>`` for all other words. None: all types."""
    bundled: bool = False
    """True for the novel, False for Penn Treebank."""
    searched: int | None = None
    """First tokens of the training text that a search trains on. None: all."""


CUTS: Final = {
    "ptb": Cut("Penn Treebank"),
    "ptb-small": Cut("Penn Treebank, first 200 000 training tokens, vocabulary of 2 000", 200_000, 2_000),
    "pride": Cut("Pride and Prejudice, vocabulary of 1 000", types=1_000, bundled=True, searched=28_000),
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
    first: int | None = None
    """First tokens of the training text that a search trains on. None: all."""

    def part(self, name: str) -> Ids:
        """Return the training, the validation or the test text."""
        cut, table = CUTS[self.dataset], _table(CUTS[self.dataset].bundled)
        ids: Ids = _renumbering(self.dataset)[table.column(name)[: cut.train if name == "train" else None]]
        return ids

    def searched(self) -> Ids:
        """Return the part of the training text that a search trains on."""
        return self.part("train")[: self.first]


@cache
def corpus(dataset: str) -> Corpus:
    """Return a data set by name.

    Raises:
        UserError: an unknown name, or Penn Treebank is missing.
    """
    if dataset not in CUTS:
        raise UserError(f"no text {dataset!r} to train on; there are {', '.join(CUTS)}")
    cut = CUTS[dataset]
    table = _table(cut.bundled)
    identity = f"{table.checksum} {cut.train} {cut.types}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return Corpus(dataset, cut.name, int(_renumbering(dataset).max()) + 1, digest, cut.searched)


@cache
def _renumbering(dataset: str) -> Ids:
    """Return, for each number of the table, the number in the data set."""
    table, types = _table(CUTS[dataset].bundled), CUTS[dataset].types
    words = table.column("vocabulary").tobytes().decode().split("\n")
    if types is None or types >= len(words):
        return np.arange(len(words))
    counts, unknown = np.bincount(table.column("train"), minlength=len(words)), words.index(UNKNOWN)
    counts[unknown] = len(table.column("train"))  # always one of the types
    common = np.sort(np.argsort(-counts, kind="stable")[:types])
    numbers = np.full(len(words), np.searchsorted(common, unknown))
    numbers[common] = np.arange(types)
    return numbers


@cache
def _table(bundled: bool = False) -> Texts:
    if bundled:
        return Novel()
    table = LIBRARY.find_table(lambda line: print(line, file=sys.stderr, flush=True))
    if table is None:
        raise UserError("Penn Treebank is missing; see `python -m harness.data status`")
    return table
