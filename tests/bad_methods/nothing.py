"""Asks nothing and proposes nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Asks nothing and proposes nothing."""

    reference = "none"

    def search(self, view):
        return None
