"""The contracts of a benchmark and its two sides.

The two sides are two types. A search reaches the :class:`Oracle`, which knows validation values only. Only the
harness reaches the :class:`Judge`, which knows the test values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from harness.delivery import Delivery
from harness.space import Arch, SearchSpace
from harness.training import Retrainer, TrainingSide


class MissingRecord(LookupError):
    """The table has no such record. Missing stays missing: nothing is charged and nothing is imputed."""


class Oracle(Protocol):
    """The search side of a benchmark in one world: validation values and costs, nothing else within reach."""

    fidelities: tuple[int, ...]
    """The numbers of epochs that a query may request, ascending; ``None`` means the last one."""

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Return validation accuracy (percent), seconds, epochs and MACs of one more training of ``arch``.

        Args:
            fidelity: epochs of the training.
            asked: number of earlier queries of the same architecture and fidelity. With the world's seed, it determines the
                drawn record.

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
    """For each target, the largest true value over the stated set; NaN if it is unknown."""
    stated_set: str
    """The set that the optimum, the regret and the rank refer to."""
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

    def score_network(self, delivery: Delivery, device: str) -> dict[str, dict[str, float]]:
        """Return ``{target: {"single_run"}}``, the test accuracy in percent of a network that a search delivered.

        By default it is empty: the judge tests no networks.

        Args:
            delivery: the network. It comes from the process of a method: every part of it may be wrong.
            device: ``cpu`` or ``cuda``.

        Raises:
            Exception: the network cannot be loaded or is not that of ``delivery.arch``. The run fails with the message.
        """
        return {}


@dataclass(frozen=True)
class Facts:
    """Texts about a benchmark's data for the captions of a report, one clause each."""

    source: str
    """The table or the images: their name, size and version."""
    search: str
    """The values that a search reads: ``validation accuracy of ... after the 12-epoch training``."""
    judge: Mapping[str, str]
    """Description of the accuracies of each target of the judge."""
    clock: str = ""
    """Description of the charged seconds, if they need one."""
    table: str = ""
    """The user's table in use: kind, number of architectures out of all, file."""
    supernet_clock: str = ""
    """Description of the charge of a supernet's pass, if it needs one."""


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
    """Opens the training task of a search; None if methods can only query."""
    retraining: Retrainer | None = None
    """Trains proposed architectures from scratch; None if the judge knows all accuracies."""
    mean_cost: float | None = None
    """Mean price of a training to the last epoch, in :attr:`clock_currency`. Budgets may be multiples of it. None: unknown."""
    clock_currency: str = "seconds"
    """The currency in which trainings and passes of a supernet are charged."""

    @abstractmethod
    def oracle(self, world: int) -> Oracle | None:
        """Return the search side in the world with the derived seed ``world``; None if nothing is tabulated."""


@dataclass(frozen=True)
class Availability:
    """State of a benchmark's data on this machine."""

    ready: bool
    text: str
    """One line: ``bundled, 15 625 architectures`` or ``missing: FILE (see python -m harness.data status)``."""


class Benchmark(Protocol):
    """One benchmark by its id, ``space/search-dataset`` in lower case."""

    id: str
    kinds: tuple[str, ...]
    """Kinds of method that can search it: ``multi-trial``, ``one-shot``, ..."""
    embedded: bool
    """True if its data ships with the project, so that it works on a fresh machine."""

    def availability(self) -> Availability:
        """Return whether its data is present. Look for files, and open no large one."""
        ...

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
        """Load the data for a protocol's ``search`` and ``judge`` tables.

        Raises:
            UserError: the data is missing, or a table of the protocol is wrong.
        """
        ...
