"""Leaves the interpreter."""

from dataclasses import dataclass
import sys


@dataclass(frozen=True)
class Bad:
    """Leaves the interpreter."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        sys.exit(3)
