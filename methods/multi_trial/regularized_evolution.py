"""Regularized (aging) evolution."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

from harness.problem import SearchView


@dataclass(frozen=True)
class RegularizedEvolution:
    """Aging evolution: mutate the best of a random sample, drop the oldest."""

    population: Annotated[int, "architectures alive at once"] = 10
    sample: Annotated[int, "tournament size, drawn with replacement"] = 3

    reference = "Real et al. 2019, arXiv:1802.01548"
    settings = {"nb1shot1": {"population": 100, "sample": 10}}  # the defaults of the 1Shot1 paper's scripts

    def __post_init__(self) -> None:
        if self.population < 1 or self.sample < 1:
            raise ValueError("population and sample must be at least 1")

    def search(self, view: SearchView) -> None:
        space, rng = view.space, view.rng
        alive = deque((view.query(arch).valid_accuracy, arch) for arch in (space.sample(rng) for _ in range(self.population)))
        while True:
            parent = max((alive[int(rng.random() * self.population)] for _ in range(self.sample)), key=lambda one: one[0])
            child = space.mutate(parent[1], rng)
            alive.append((view.query(child).valid_accuracy, child))
            alive.popleft()
