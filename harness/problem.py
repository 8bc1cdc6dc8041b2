"""What a benchmark offers: the contracts of its two sides.

The two sides of a benchmark are two types. A search reaches the :class:`Oracle`, which knows validation values only. Only the
harness reaches the :class:`Judge`, which knows the test values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.space import Arch, SearchSpace


class MissingRecord(LookupError):
    """The table has no such record. Missing stays missing: nothing is charged and nothing is imputed."""


class Oracle(Protocol):
    """The search side of a benchmark in one world: validation values and costs, nothing else within reach."""

    fidelities: tuple[int, ...]
    """The numbers of epochs that may be asked for, ascending; the last one is what ``None`` means."""

    def measure(self, arch: Arch, fidelity: int | None, asked: int) -> tuple[float, float, float, float]:
        """Validation accuracy (percent), seconds, epochs and MACs of training ``arch`` once more.

        ``asked`` counts the earlier queries of the same architecture and fidelity; with the world's seed it decides which
        recorded seed is drawn. Raises :class:`InvalidArchitecture` or :class:`MissingRecord`.
        """
        ...


class Judge(Protocol):
    """The reporting side of a benchmark. Only the harness holds one."""

    optimum: Mapping[str, float]
    """For each target, the largest true value over the stated set."""
    stated_set: str
    """What the optimum, the regret and the rank range over."""
    set_size: Mapping[str, int]
    """How many architectures that is, for each target."""

    def score(self, arch: Arch, world: int) -> dict[str, dict[str, float]]:
        """``{target: {"valid", "test", "regret", "rank"}}``; accuracies in percent, NaN where there is no record.

        ``world`` is the world's seed: of use only where what an architecture means depends on the world.
        """
        ...


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
    """What the charged seconds are, where that needs saying."""
    table: str = ""
    """Which of the tables that its user may have is in use: kind, how many architectures of how many, file."""
    supernet_clock: str = ""
    """How a pass of a supernet is charged, where that needs saying."""


class Problem(Protocol):
    """A benchmark opened under a protocol: the space, and the two sides."""

    space: SearchSpace
    judge: Judge
    fidelities: tuple[int, ...]
    checksum: str
    """Identifies the table or the data; part of every run's identity."""
    record: str
    """The seed record in force: ``drawn`` (one recorded seed per query) or ``mean``."""
    facts: Facts

    def oracle(self, world: int) -> Oracle | None:
        """The search side in the world that ``world`` (a derived seed) fixes; None where nothing can be looked up."""
        ...

    # Where methods train for themselves (weight sharing, feature maps) there is also
    #     task(world: int, device: str, charge: Meter) -> object      (task.choices: see harness.weight_sharing)
    # the training and the validation data of the search with everything to train on them, no test image within reach.
    # It charges what is trained, in all of the budget's currencies, and lets BudgetExhausted through.

    # Where an architecture's accuracy takes a training of its own, a later stage of the protocol, there is also
    #     retraining: Retrainer


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
        """Cheap: looks for files, opens none that is large."""
        ...

    def open(self, search: Mapping[str, Any], judge: Mapping[str, Any]) -> Problem:
        """Loads the data for a protocol's ``search`` and ``judge`` tables. Raises :class:`UserError`."""
        ...
