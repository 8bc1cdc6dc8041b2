"""Forks, and both processes return from the search."""

import os
from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Forks, and both processes return from the search."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        if os.fork() == 0:
            view.query(view.space.sample(view.rng))
