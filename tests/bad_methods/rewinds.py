"""Sets its ledger back."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Sets its ledger back."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        for _ in range(500):
            view.query(view.space.sample(view.rng))
            view._ledger._seconds = 0.0
