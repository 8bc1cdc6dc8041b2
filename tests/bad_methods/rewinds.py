"""Sets its ledger back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Sets its ledger back."""

    reference = "none"

    def search(self, view):
        for _ in range(500):
            view.query(view.space.sample(view.rng))
            view._ledger._seconds = 0.0
