"""Asks the oracle past the ledger."""

from dataclasses import dataclass

from harness.space import Arch
from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Asks the oracle past the ledger."""

    reference = "none"

    def search(self, view: SearchView) -> Arch | None:
        best = max((view._measure(view.space.sample(view.rng), None, 0)[0], number) for number in range(1000))
        view.query(view.space.sample(view.rng))
        return view.space.sample(view.rng) if best else None
