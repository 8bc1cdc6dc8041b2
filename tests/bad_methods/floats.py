"""Asks with floats."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Asks with floats."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        view.query((1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
