"""Logs what cannot be sent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Logs what cannot be sent."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        view.log(f=lambda: 1)
