"""Feature maps trained one by one: what their results were, also before the search was killed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NamedTuple

from harness.problem import Problem
from harness.view import SearchView


class Result(NamedTuple):
    """What became of one solver call for a single map."""

    accuracy: float
    """On the validation points, percent; NaN where these were trained on."""
    objective: float
    """The regularised training loss."""


class Singles:
    """Makes the solver calls of a search whose every decision follows from their results, and keeps these.

    A search that begins again after a kill asks for the same calls in the same order, and is answered from what was kept.
    """

    def __init__(self, view: SearchView, total: int) -> None:
        """``total`` results are expected, for the progress."""
        self._view, self._total = view, total
        self._kept: list[list[float]] = json.loads(view.resume() or b"[]")
        self._asked = 0
        self.new = False
        """Whether the last result is new, rather than kept from before a kill, when what followed from it was done already."""

    def result(self, make: Callable[[], list[float]]) -> list[float]:
        """What ``make`` returns, or returned before the kill."""
        self._asked += 1
        self.new = self._asked > len(self._kept)
        if self.new:
            self._kept.append(make())
            self._view.progress(min(1.0, len(self._kept) / self._total))
        return self._kept[self._asked - 1]

    def train(self, config: int, features: int, *, loss: str, joint: bool = False) -> Result:
        """The result of training ``config`` alone."""

        def make() -> list[float]:
            model = self._view.task.fit(config, features, loss=loss, joint=joint)
            accuracy = math.nan if joint else 100 * float(model.validate(config).correct.mean())
            return [accuracy, float(model.objective)]

        return Result(*self.result(make))

    def done(self) -> None:
        """A checkpoint: what follows from the last result is done."""
        if self.new:
            self._view.checkpoint(json.dumps(self._kept).encode())


def skip(problem: Problem) -> str | None:
    """Why a selector of feature maps cannot run on ``problem``."""
    is_pool = problem.training is not None and len(problem.space.cardinalities) == 1
    return None if is_pool else "needs a pool of feature maps"
