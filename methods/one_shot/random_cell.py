from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.problem import Problem
from harness.space import Arch
from harness.view import SearchView


@dataclass(frozen=True)
class RandomCell:
    """A uniformly random architecture, drawn without any query: the baseline if every cell must be trained from scratch.

    In spaces with a table, ``random_search`` is the baseline.
    """

    reference: ClassVar[str] = "arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    proposes: ClassVar[str] = "self"

    def skip(self, problem: Problem) -> str | None:
        return None if problem.retraining else "random_search is the baseline where trainings can be looked up"

    def search(self, view: SearchView) -> Arch:
        return view.space.sample(view.rng)
