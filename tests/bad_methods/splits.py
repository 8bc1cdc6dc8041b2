"""Forks, and both processes return from the search."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Forks, and both processes return from the search."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        if os.fork() == 0:
            view.query(view.space.sample(view.rng))
