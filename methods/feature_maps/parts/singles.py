"""Feature maps trained one by one, with results that survive a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NamedTuple

from harness.problem import Problem
from harness.view import SearchView


class Result(NamedTuple):
    """The result of one solver call for a single map."""

    accuracy: float
    """Accuracy on the validation points, percent; NaN if the call trained on them."""
    objective: float
    """The regularised training loss."""


class Singles:
    """Makes the solver calls of a search whose decisions all follow from their results, and stores the results.

    A search that starts again after a kill makes the same calls in the same order, and gets the stored results.

    Args:
        view: the view of the method.
        total: expected number of results, for the progress.
    """

    def __init__(self, view: SearchView, total: int) -> None:
        self._view, self._total = view, total
        self._results: list[list[float]] = json.loads(view.resume() or b"[]")
        self._calls = 0
        self.new = False
        """True if the last result is new; False if it was stored before a kill, when the search acted on it already."""

    def result(self, make: Callable[[], list[float]]) -> list[float]:
        """Return what ``make`` returns, or returned before the kill."""
        self._calls += 1
        self.new = self._calls > len(self._results)
        if self.new:
            self._results.append(make())
            self._view.progress(min(1.0, len(self._results) / self._total))
        return self._results[self._calls - 1]

    def train(self, config: int, features: int, *, loss: str, joint: bool = False) -> Result:
        """Return the result of training the map ``config`` alone.

        Args:
            config: number of the map in the pool.
            features: number of features.
            loss: loss of the support vector machine.
            joint: train on training and validation points together.
        """

        def make() -> list[float]:
            model = self._view.task.fit(config, features, loss=loss, joint=joint)
            accuracy = math.nan if joint else 100 * float(model.validate(config).correct.mean())
            return [accuracy, float(model.objective)]

        return Result(*self.result(make))

    def done(self) -> None:
        """Write a checkpoint: the search has acted on the last result."""
        if self.new:
            self._view.checkpoint(json.dumps(self._results).encode())


def skip(problem: Problem) -> str | None:
    """Return why a selector of feature maps cannot run on a problem, or None if it can."""
    is_pool = problem.training is not None and len(problem.space.cardinalities) == 1
    return None if is_pool else "needs a pool of feature maps"
