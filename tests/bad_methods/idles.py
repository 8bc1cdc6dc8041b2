"""Never asks, never ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Never asks, never ends."""

    reference = "none"

    def search(self, view):
        while True:
            pass
