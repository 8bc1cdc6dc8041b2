"""The trained network that a search hands over with its proposal, for the judge to test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.space import Arch

Plain = bool | int | float | str
"""The value of a setting of a delivered network."""

DELIVERY_LIMIT = 1 << 28
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
