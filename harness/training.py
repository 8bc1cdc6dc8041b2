"""What a benchmark offers for training: of weights during a search, and of architectures from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from harness.space import Arch


class Trained(NamedTuple):
    """One training from scratch."""

    accuracy: float
    """On the held-out images after the last epoch, percent."""
    best: float
    """The largest of any epoch: chosen on the held-out images, and to be labelled so."""
    curve: Mapping[str, Sequence[float]]
    """Columns with a value per epoch."""
    spent: Mapping[str, float]
    """``epochs``, ``macs`` and real ``seconds`` of all sessions together."""
    parameters: int
    macs: int
    """Multiply-adds of one image."""


class Retrainer(Protocol):
    """Trains architectures from scratch, for the stages of a protocol after the search. Held by the harness alone."""

    def describe(self, recipe: str, split: str, data: str = "") -> dict[str, Any]:
        """Everything that a training's result depends on besides architecture, seed and device, as plain values.

        Args:
            split: ``test``: trained on all training images and held against the test set; ``valid``: against a part of the
                training images, no test image within reach.
            data: another data set than the benchmark's own.

        Raises :class:`UserError` for an unknown name, and where the data are missing.
        """
        ...

    def train(
        self,
        arch: Arch,
        settings: Mapping[str, Any],
        seed: int,
        device: str,
        state: bytes | None,
        save: Callable[[bytes], None],
        report: Callable[[float], None],
    ) -> Trained:
        """Trains under what :meth:`describe` gave, from ``state`` on where ``save`` was told one before."""
        ...


class Meter(Protocol):
    """Charges a cost to a search's ledger: :meth:`harness.budget.Budget.charge`."""

    def __call__(
        self, queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float
    ) -> None: ...
