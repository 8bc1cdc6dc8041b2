from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, runtime_checkable

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView


@dataclass(frozen=True)
class RandomCell:
    """A uniformly random architecture, drawn without any query or training: the floor under every method, charged nothing.

    If every cell must be trained from scratch, it is the baseline.
    """

    none: Annotated[bool, "'none' is one of the operations"] = True

    reference: ClassVar[str] = "arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {"": {}, "no_none": {"none": False}}

    def skip(self, problem: Problem) -> str | None:
        if not (problem.fidelities or problem.retraining):
            return "draws a cell whose accuracy nothing here knows: there is no table, and no training from scratch"
        if not self.none and not isinstance(problem.space, HasNone):
            return f"{problem.space.name} has no cells with 'none' on an edge"
        return None

    def search(self, view: SearchView) -> Arch:
        space = view.space
        return space.sample(view.rng) if self.none or not isinstance(space, HasNone) else space.sample_without_none(view.rng)


@runtime_checkable
class HasNone(Protocol):
    """A space in whose cells an edge may have the operation ``none``."""

    def sample_without_none(self, rng: random.Random) -> Arch: ...
