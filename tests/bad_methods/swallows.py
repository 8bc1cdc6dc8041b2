"""Swallows the end of its budget, and goes on asking."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Swallows the end of its budget, and goes on asking."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        while True:
            try:
                view.query(view.space.sample(view.rng))
            except BaseException:
                if view.budget.exhausted and view.rng.random() < 0.001:
                    return
