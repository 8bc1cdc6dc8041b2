"""Asks nothing and proposes nothing."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Asks nothing and proposes nothing."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        return None
