"""The settings that decide the records of a table of digits."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.images import digits


@dataclass(frozen=True)
class Settings:
    """Everything that decides the records. Another value of any field gives another table.

    A search space declares a subclass with ``macro``: its network without the cell, a dataclass.
    """

    macro: Any
    noise: float = digits.NOISE
    batch: int = 128
    momentum: float = 0.9
    decay: float = 5e-4
    """Weight decay. It acts on every parameter, as in NAS-Bench-201."""
    epochs: dict[str, int] = field(default_factory=lambda: {"short": 12, "long": 36})
    """Epochs of each recipe. A recipe is a complete cosine schedule of that length."""
    rates: dict[str, float] = field(default_factory=lambda: {"short": 0.0375, "long": 0.0125})
    """Initial learning rates. Their sum over a training is the same for both recipes. They are low on purpose: a higher rate
    brings all good cells to the limit that the noise sets, and there only the seed separates them."""
    draws: int = digits.DRAWS
    """Noise draws of each evaluated image."""

    @property
    def digest(self) -> str:
        """The identity of the settings, 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
