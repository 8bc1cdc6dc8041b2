# Your own method: one file, one frozen dataclass of hyperparameters, one function.
from dataclasses import dataclass
from typing import Annotated

from harness.view import SearchView


@dataclass(frozen=True)
class MyMethod:
    """Mutates the best architecture seen so far."""

    warmup: Annotated[int, "random architectures before the first mutation"] = 20
    reference = "my paper"

    def search(self, view: SearchView) -> None:
        seen = [(view.query(arch).valid_accuracy, arch) for arch in (view.space.sample(view.rng) for _ in range(self.warmup))]
        while True:  # the harness ends the search when the budget is spent
            child = view.space.mutate(max(seen)[1], view.rng)
            seen.append((view.query(child).valid_accuracy, child))
