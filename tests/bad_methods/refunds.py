"""Charges a negative amount."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Charges a negative amount."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        view._ledger.charge(-(10**9))
