"""The records of a search: its trace during the search, its outcome at the end, and its result after the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.space import Arch


class Proposal(NamedTuple):
    """The architecture that the method would return, from this point of the search on."""

    queries: int
    seconds: float
    arch: Arch


class Probe(NamedTuple):
    """Accuracy of ``arch`` under shared weights, percent."""

    arch: Arch
    shared: float


Plain = bool | int | float | str
"""The value of a setting of a delivered network."""

DELIVERY_LIMIT = 1 << 30
"""Largest size of a delivered network, in bytes."""


@dataclass(frozen=True)
class Delivery:
    """The trained network of an architecture, as a search hands it over. Only the judge loads it; it is never stored."""

    arch: Arch
    weights: bytes
    """Weights and statistics, serialised. The benchmark defines the form."""
    settings: Mapping[str, Plain]
    """Settings of the network, by which the judge builds it."""

    def flaw(self, proposed: Arch) -> str:
        """Return why it is no delivery for the architecture ``proposed``, as a clause; empty if it is.

        The search and the judge both ask, because a search could have changed everything in its process.
        """
        plain = isinstance(self.settings, Mapping) and all(
            type(name) is str and type(value) in (bool, int, float, str) for name, value in self.settings.items()
        )
        if type(self.weights) is not bytes or not plain:
            return "it must be bytes, and settings that are numbers, texts or truth values"
        if len(self.weights) > DELIVERY_LIMIT:
            return f"it has {len(self.weights):,} bytes; the limit is {DELIVERY_LIMIT:,}"
        return "" if self.arch == proposed else f"it is the network of {self.arch!r:.200}, the proposal is {proposed!r:.200}"


@dataclass
class Trace:
    """Events of a search, in order."""

    seconds: list[float] = field(default_factory=list)
    """Charged seconds after each query."""
    accuracy: list[float] = field(default_factory=list)
    """Validation accuracy that each query returned, percent."""
    proposals: list[Proposal] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    scalars: list[dict[str, float]] = field(default_factory=list)
    delivery: Delivery | None = None
    """The trained network of the last proposal. Checkpoints do not contain it."""


@dataclass
class Outcome:
    """One finished search before it is judged, as its process describes it."""

    status: str
    """``done``, ``failed`` or ``timeout``."""
    trace: Trace
    spent: dict[str, float]
    """Every currency of the ledger."""
    queries: list[tuple[Arch, int | None]]
    """Architecture and fidelity of each query for which the oracle had a record."""
    trained: dict[str, float]
    """Amounts that the training side charged, by currency."""
    wall_seconds: float
    error: str = ""


@dataclass
class Result:
    """One finished search, judged."""

    run_id: str
    status: str
    """``done``; ``failed``: the method raised, or proposed nothing usable; ``rejected``: its ledger contradicts the harness's
    books; ``timeout``: past the wall limit; ``crashed``: its process died; ``sampled``: begun to see how long it takes, and
    never stored. Only ``done`` runs enter a mean."""
    arch: str = ""
    """The last proposal, in the space's spelling."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """``{target: {"valid", "test", "regret", "rank"}}``, by the targets of the protocol.

    ``single_run``: test accuracy of the network that the search delivered, percent."""
    trace: dict[str, Sequence[float]] = field(default_factory=dict)
    """Named columns: ``seconds``, ``accuracy`` (float32) per query; ``proposal_*``, ``TARGET/test`` per proposal; ``log/*``.

    ``delivered/bytes``: size of the delivered network; ``delivered/sha256``: the 32 bytes of its digest, as numbers.
    Per probed architecture ``probe/shared``, ``probe/TARGET`` (its test accuracy) and ``probe/at/K`` (its K-th number).
    """
    spent: dict[str, float] = field(default_factory=dict)
    """Every currency of the ledger."""
    wall_seconds: float = 0.0
    """Real time of the search, never charged."""
    error: str = ""
    """Traceback or reason if the status is not ``done``."""


ERROR_LIMIT = 10_000
"""Largest length of a stored error text, in characters."""


def printable(text: str) -> str:
    """Return ``text`` fit for a terminal and a table: control characters escaped, the middle of a long text left out."""
    if len(text) > ERROR_LIMIT:
        half = ERROR_LIMIT // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)
