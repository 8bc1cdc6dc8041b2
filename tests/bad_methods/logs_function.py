"""Logs what cannot be sent."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Logs what cannot be sent."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        view.log(f=lambda: 1)  # type: ignore[arg-type]
