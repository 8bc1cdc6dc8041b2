"""Proposes what is no architecture."""

from dataclasses import dataclass

from harness.space import Arch
from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Proposes what is no architecture."""

    reference = "none"

    def search(self, view: SearchView) -> Arch:
        view.query(view.space.sample(view.rng))
        return (7, 7, 7)
