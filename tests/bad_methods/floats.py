"""Asks with floats."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Asks with floats."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        view.query((1.0, 0.0, 0.0, 0.0, 0.0, 0.0))  # type: ignore[arg-type]
