from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class RegularizedEvolution:
    """Regularized evolution (REA): mutates the best of a random sample of the population, and drops the oldest member."""

    population: Annotated[int, "number of architectures in the population"] = 10
    sample: Annotated[int, "size of the random sample, drawn with replacement"] = 3

    reference: ClassVar[str] = "Real et al. 2019, arXiv:1802.01548"
    citations: ClassVar[tuple[str, ...]] = ("real2019evolution",)
    pure: ClassVar[bool] = True
    settings: ClassVar[dict[str, dict[str, object]]] = {
        "nb1shot1": {"population": 100, "sample": 10}
    }  # the defaults of the 1Shot1 paper's scripts

    def __post_init__(self) -> None:
        if self.population < 1 or self.sample < 1:
            raise ValueError("population and sample must be at least 1")

    def search(self, view: SearchView) -> None:
        space, rng, query = view.space, view.rng, view.query
        alive: deque[tuple[float, Arch]] = deque()

        def child() -> Arch:
            tournament = (alive[int(rng.random() * self.population)] for _ in range(self.sample))
            return space.mutate(max(tournament, key=lambda entry: entry[0])[1], rng)

        def grow(draw: Callable[[], Arch]) -> None:
            arch, observed = first_recorded(draw, query)
            alive.append((observed.valid_accuracy, arch))

        for _ in range(self.population):
            grow(partial(space.sample, rng))
        while True:
            grow(child)
            alive.popleft()
