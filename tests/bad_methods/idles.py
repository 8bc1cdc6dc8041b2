"""Never asks, never ends."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Never asks, never ends."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        while True:
            pass
