"""Rewrites what its queries were answered."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Rewrites what its queries were answered."""

    reference = "none"

    def search(self, view):
        for _ in range(5):
            view.query(view.space.sample(view.rng))
        view._trace.accuracy[-1] = 99.99
