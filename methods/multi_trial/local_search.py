from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

from harness.problem import MissingRecord
from harness.space import Arch
from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class LocalSearch:
    """Local search: moves to the best neighbour until none is better, then restarts from a random architecture.

    No architecture is evaluated and paid for twice.
    """

    move: Annotated[Literal["best", "first"], "move to the best of all neighbours, or to the first better neighbour"] = "best"

    reference: ClassVar[str] = "White et al. 2021, arXiv:2005.02960"
    citations: ClassVar[tuple[str, ...]] = ("white2021local",)
    pure: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.move not in ("best", "first"):
            raise ValueError(f"move must be 'best' or 'first', not {self.move!r}")

    def search(self, view: SearchView) -> None:
        seen: dict[Arch, float] = {}

        def accuracy(arch: Arch) -> float:
            """Return the validation accuracy of an architecture, minus infinity if it has no record."""
            if arch not in seen:
                try:
                    seen[arch] = view.query(arch).valid_accuracy
                except MissingRecord:
                    seen[arch] = -math.inf
            return seen[arch]

        def start(arch: Arch) -> None:
            if accuracy(arch) == -math.inf:
                raise MissingRecord(f"the table has no record of {view.space.to_str(arch)}")

        while len(seen) < view.space.size:
            current, _ = first_recorded(partial(view.space.sample, view.rng), start)
            while (better := self._step(view, current, accuracy)) is not None:
                current = better

    def _step(self, view: SearchView, current: Arch, accuracy: Callable[[Arch], float]) -> Arch | None:
        """Return the neighbour to move to, None if no neighbour is better."""
        present = accuracy(current)
        around = list(view.space.neighbors(current))
        view.rng.shuffle(around)
        if self.move == "first":
            return next((arch for arch in around if accuracy(arch) > present), None)
        best = max(around, key=accuracy)
        return best if accuracy(best) > present else None
