"""Returns NaN."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Returns NaN."""

    reference = "none"

    def search(self, view):
        view.query(view.space.sample(view.rng))
        return float("nan")
