"""Raises in the middle of its search."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Raises in the middle of its search."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        raise RuntimeError("a bug of mine")
