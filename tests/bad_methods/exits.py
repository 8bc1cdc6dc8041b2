"""Leaves the interpreter."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Leaves the interpreter."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        sys.exit(3)
