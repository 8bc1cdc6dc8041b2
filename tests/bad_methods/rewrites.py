"""Rewrites what its queries returned."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Rewrites what its queries returned."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        for _ in range(5):
            view.query(view.space.sample(view.rng))
        view._trace.accuracy[-1] = 99.99
