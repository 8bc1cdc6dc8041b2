"""The records of a search: its trace during the search, its outcome at the end, and its result after the judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.delivery import Delivery
from harness.space import Arch


class Proposal(NamedTuple):
    """The architecture that the method would return, from this point of the search on."""

    queries: int
    seconds: float
    arch: Arch


class Probe(NamedTuple):
    """Accuracy (percent) and mean loss of ``arch`` under shared weights; the loss is NaN if the method does not know it."""

    arch: Arch
    shared: float
    loss: float = math.nan


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


TOO_SMALL = "too_small"
"""Status of a search that could not begin: its budget does not pay for its smallest schedule. It is no fault of the method."""


@dataclass
class Outcome:
    """One finished search before it is judged, as its process describes it."""

    status: str
    """``done``, ``failed``, ``timeout`` or ``too_small``."""
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
    never stored; ``too_small``: see :data:`TOO_SMALL`. Only ``done`` runs enter a mean."""
    arch: str = ""
    """The last proposal, in the space's spelling."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """``{target: {"valid", "test", "regret", "rank"}}``, by the targets of the protocol.

    ``single_run``: test accuracy of the network that the search delivered, percent."""
    trace: dict[str, Sequence[float]] = field(default_factory=dict)
    """Named columns: ``seconds``, ``accuracy`` (float32) per query; ``proposal_*``, ``TARGET/test`` per proposal; ``log/*``.

    ``delivered/bytes``: size of the delivered network; ``delivered/sha256``: the 32 bytes of its digest, as numbers.
    Per probed architecture ``probe/shared``, ``probe/shared_loss``, ``probe/TARGET`` (its test accuracy) and ``probe/at/K``
    (its K-th number).
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
