from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from harness.view import SearchView
from methods.multi_trial.parts.recorded import first_recorded


@dataclass(frozen=True)
class RandomSearch:
    """Random search: evaluates uniform architectures until the budget is spent; the best validation accuracy wins."""

    reference: ClassVar[str] = "Li & Talwalkar 2019, arXiv:1902.07638"
    citations: ClassVar[tuple[str, ...]] = ("li2019random",)
    pure: ClassVar[bool] = True

    def search(self, view: SearchView) -> None:
        draw = partial(view.space.sample, view.rng)
        while True:
            first_recorded(draw, view.query)
