# Your own method: one file, one frozen dataclass of hyperparameters, one function.
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class MyMethod:
    """Mutates the best of three architectures that it has seen."""

    warmup: Annotated[int, "random architectures before the first mutation"] = 20
    reference = "my paper"

    def search(self, view: SearchView) -> None:
        def evaluate(draw: Callable[[], Arch]) -> tuple[float, Arch]:
            arch, observed = first_recorded(draw, view.query)  # draws again, at no cost, if the table has no record
            return observed.valid_accuracy, arch

        def child() -> Arch:
            return view.space.mutate(max(view.rng.choices(seen, k=3))[1], view.rng)

        seen = [evaluate(partial(view.space.sample, view.rng)) for _ in range(self.warmup)]
        while True:  # the harness ends the search when the budget is spent
            seen.append(evaluate(child))
