from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, runtime_checkable

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import operations as subsets


@dataclass(frozen=True)
class RandomCell:
    """A uniformly random architecture, drawn without any query: the baseline if every cell must be trained from scratch.

    In spaces with a table, ``random_search`` is the baseline.
    """

    count: Annotated[int, "operations of an architecture, uniformly on all edges; 0: as the space draws its architectures"] = 0
    operations: Annotated[subsets.Subset, "the operations to draw from, if count is set; five: those of CoNAS (D-67)"] = "all"

    reference: ClassVar[str] = "arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "table_6": {"count": 15, "operations": "five"},  # of CoNAS
    }

    def __post_init__(self) -> None:
        if self.count < 0 or (self.operations != "all" and not self.count):
            raise ValueError(f"operations = {self.operations} needs the number of operations, count, which is {self.count}")

    def skip(self, problem: Problem) -> str | None:
        if self.count and not isinstance(problem.space, Countable):
            return f"count = {self.count} needs a space whose edges have any number of operations; {problem.space.name} has not"
        return None if problem.retraining else "random_search is the baseline where trainings can be looked up"

    def search(self, view: SearchView) -> Arch:
        if self.count and isinstance(view.space, Countable):
            return view.space.sample_operations(view.rng, self.count, subsets.choices(self.operations).get("operations", {}))
        return view.space.sample(view.rng)


@runtime_checkable
class Countable(Protocol):
    """A space that can draw architectures with a number of operations."""

    def sample_operations(self, rng: random.Random, count: int, operations: Mapping[str, Sequence[str]]) -> Arch: ...
