"""Swallows everything that would end it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Swallows everything that would end it."""

    reference = "none"

    def search(self, view):
        while True:
            try:
                view.query(view.space.sample(view.rng))
            except BaseException:
                pass
