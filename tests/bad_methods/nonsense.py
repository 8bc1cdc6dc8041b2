"""Proposes what is no architecture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Proposes what is no architecture."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        return (7, 7, 7)
