"""What a benchmark offers: the contracts of its two sides.

The two sides of a benchmark are two types. A search reaches the :class:`Oracle`, which knows validation values only. Only the
harness reaches the :class:`Judge`, which knows the test values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from harness.space import Arch, SearchSpace
from harness.training import Retrainer, TrainingSide


class MissingRecord(LookupError):
    """The table has no such record. Missing stays missing: nothing is charged and nothing is imputed."""


class Oracle(Protocol):
    """The search side of a benchmark in one world: validation values and costs, nothing else within reach."""

    fidelities: tuple[int, ...]
    """The numbers of epochs that a query may request, ascending; the last one is what ``None`` means."""

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Return validation accuracy (percent), seconds, epochs and MACs of one more training of ``arch``.

        Args:
            fidelity: epochs of the training.
            asked: number of earlier queries of the same architecture and fidelity. It decides, with the world's seed, which
                recorded seed is drawn.

        Raises:
            InvalidArchitecture: ``arch`` is not in the space.
            MissingRecord: the table has no such training.
        """
        ...


class Reference(NamedTuple):
    """An error that regrets may be counted from."""

    split: str
    """``test`` or ``valid``."""
    name: str
    error: float
    """Percent."""
    least: float
    """Regret, in points, of the architecture with the best mean accuracy of that split."""


class Judge(ABC):
    """The reporting side of a benchmark. Only the harness reaches it."""

    optimum: Mapping[str, float]
    """For each target, the largest true value over the stated set; NaN if nobody knows it."""
    stated_set: str
    """What the optimum, the regret and the rank range over."""
    set_size: Mapping[str, int]
    """Number of architectures in the stated set, for each target."""
    worst: Mapping[str, float] = {}
    """For each target, the smallest true value over the stated set; empty if reports do not need it."""
    references: Sequence[Reference] = ()
    """Errors that published regrets are counted from."""

    @abstractmethod
    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        """Return ``{target: {"valid", "test", "regret", "rank"}}``; accuracies in percent, NaN if there is no record.

        Args:
            world: the world's seed, for a space whose architectures depend on the world.
        """


@dataclass(frozen=True)
class Facts:
    """What the captions of a report say of a benchmark's data, one clause each."""

    source: str
    """The table or the images: their name, size and version."""
    search: str
    """What a search looks at: ``validation accuracy of ... after the 12-epoch training``."""
    judge: Mapping[str, str]
    """For each target of the judge, what its accuracies are."""
    clock: str = ""
    """What the charged seconds are, if that needs saying."""
    table: str = ""
    """Which of the user's tables is in use: kind, how many architectures of how many, file."""
    supernet_clock: str = ""
    """How a pass of a supernet is charged, if that needs saying."""


class Problem(ABC):
    """A benchmark opened under a protocol. Set the attributes without a default in ``__init__`` or on the class."""

    space: SearchSpace
    judge: Judge
    fidelities: tuple[int, ...]
    checksum: str
    """Identifies the table or the data; part of every run's identity."""
    record: str
    """The seed record in force: ``drawn`` (one recorded seed per query) or ``mean``."""
    facts: Facts
    training: TrainingSide | None = None
    """What methods train on that train for themselves; None if they can only query."""
    retraining: Retrainer | None = None
    """Trains proposed architectures from scratch; None if the judge knows all accuracies."""
    mean_cost: float | None = None
    """Mean charged seconds of one query to the last epoch, of which a budget may be a multiple; None: no queries."""

    @abstractmethod
    def oracle(self, world: int) -> Oracle | None:
        """Return the search side in the world with the derived seed ``world``; None if nothing is tabulated."""


@dataclass(frozen=True)
class Availability:
    """Whether a benchmark can run here."""

    ready: bool
    text: str
    """One line: ``bundled, 15 625 architectures`` or ``missing: FILE (see python -m harness.data status)``."""


class Benchmark(Protocol):
    """One benchmark by its id, ``space/search-dataset`` in lower case."""

    id: str
    kinds: tuple[str, ...]
    """Kinds of method that can search it: ``multi-trial``, ``one-shot``, ..."""
    embedded: bool
    """Ships with the project, so that it works on a fresh machine."""

    def availability(self) -> Availability:
        """Return whether its data is here. Looks for files and opens no large one."""
        ...

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
        """Load the data for a protocol's ``search`` and ``judge`` tables.

        Raises:
            UserError: the data is missing, or a table of the protocol is wrong.
        """
        ...
