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
    """A uniformly random architecture, drawn without any query or training: the floor under every method, charged nothing.

    If every cell must be trained from scratch, it is the baseline.
    """

    none: Annotated[bool, "'none' is one of the operations"] = True

    count: Annotated[int, "operations of an architecture, uniformly on all edges; 0: as the space draws its architectures"] = 0
    operations: Annotated[subsets.Subset, "the operations to draw from, if count is set; five: those of CoNAS (D-67)"] = "all"

    reference: ClassVar[str] = "arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {
        "": {},
        "no_none": {"none": False},
        "table_6": {"count": 15, "operations": "five"},  # of CoNAS
    }

    def __post_init__(self) -> None:
        if self.count < 0 or (self.operations != "all" and not self.count):
            raise ValueError(f"operations = {self.operations} needs the number of operations, count, which is {self.count}")
        if self.count and not self.none:
            raise ValueError(f"none = false has no effect if the number of operations is given: count = {self.count}")

    def skip(self, problem: Problem) -> str | None:
        if not (problem.fidelities or problem.retraining):
            return "draws a cell whose accuracy nothing here knows: there is no table, and no training from scratch"
        if not self.none and not isinstance(problem.space, HasNone):
            return f"{problem.space.name} has no cells with 'none' on an edge"
        if self.count and not isinstance(problem.space, Countable):
            return f"count = {self.count} needs a space whose edges have any number of operations; {problem.space.name} has not"
        return None

    def search(self, view: SearchView) -> Arch:
        space = view.space
        if self.count and isinstance(space, Countable):
            return space.sample_operations(view.rng, self.count, subsets.choices(self.operations).get("operations", {}))
        return space.sample(view.rng) if self.none or not isinstance(space, HasNone) else space.sample_without_none(view.rng)


@runtime_checkable
class HasNone(Protocol):
    """A space in whose cells an edge may have the operation ``none``."""

    def sample_without_none(self, rng: random.Random) -> Arch: ...


@runtime_checkable
class Countable(Protocol):
    """A space that can draw architectures with a number of operations."""

    def sample_operations(self, rng: random.Random, count: int, operations: Mapping[str, Sequence[str]]) -> Arch: ...
