"""Logs what is no number."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Logs what is no number."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        view.log(note="hello")
