"""Asks for what is no architecture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Asks for what is no architecture."""

    reference = "none"

    def search(self, view):
        view.query((5, 5, 5, 5, 5, 5))
