"""Returns NaN."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Returns NaN."""

    reference = "none"

    def search(self, view: SearchView) -> float:
        view.query(view.space.sample(view.rng))
        return float("nan")
