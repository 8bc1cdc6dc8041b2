"""Raises KeyboardInterrupt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Raises KeyboardInterrupt."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        raise KeyboardInterrupt
