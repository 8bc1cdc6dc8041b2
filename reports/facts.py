"""What a report says of a benchmark as one kind of method searches it: plain values, made by the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_YET = "not run yet"
"""Why a row that could run has no run."""


@dataclass(frozen=True)
class Part:
    """One benchmark as one kind of method searches it under the protocol. Empty fields are not printed."""

    benchmark: str
    kind: str = ""
    budget: str = ""
    search: str = ""
    """What a search looks at."""
    record: str = ""
    """Seed record of the search: ``drawn``, ``mean``, or a sentence."""
    clock: str = ""
    """What the charged seconds are."""
    supernet_clock: str = ""
    """How a pass of a supernet is charged."""
    estimate: Mapping[str, str] = field(default_factory=dict)
    """Models of the seconds of a supernet's pass, by name: their coefficients, R2 and residual."""
    judge: Mapping[str, str] = field(default_factory=dict)
    """What the accuracies are, by target in the judge's order."""
    optimum: Mapping[str, float] = field(default_factory=dict)
    """Largest true accuracy over the stated set by target, in percent; NaN if nobody knows it."""
    worst: Mapping[str, float] = field(default_factory=dict)
    stated_set: str = ""
    """What regret and rank range over."""
    set_size: Mapping[str, int] = field(default_factory=dict)
    references: tuple[Mapping[str, Any], ...] = ()
    """What regret may be counted from: ``split``, ``name``, ``error`` (percent), ``kept`` (points)."""
    table: str = ""
    checksum: str = ""
    planned: Mapping[str, int] = field(default_factory=dict)
    """Number of searches that the command asked for, by row."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rows without a run, and why."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Hyperparameters by row."""
