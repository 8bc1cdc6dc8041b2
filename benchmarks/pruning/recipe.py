"""Settings of the judge's training from scratch. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The ``judge`` table of a protocol. The defaults are the paper's."""

    epochs: int = 3000
    lr: float = 3e-4
    """Learning rate of Adam, constant."""
    batch: int = 256
    """Points of a batch: as in the search (D-125)."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.lr > 0:
            raise ValueError(f"epochs and batch must be at least 1 and lr above 0: {self}")
