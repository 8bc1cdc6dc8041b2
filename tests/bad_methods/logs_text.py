"""Logs what is no number."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Logs what is no number."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        view.log(note="hello")  # type: ignore[arg-type]
