"""Asks for what is no architecture."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Asks for what is no architecture."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query((5, 5, 5, 5, 5, 5))
