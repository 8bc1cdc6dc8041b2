"""Draws from the global generators, against the contract: the harness seeds them for each run."""

import random
from dataclasses import dataclass

import numpy as np

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Draws from the global generators, against the contract."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        for _ in range(5):
            view.query(view.space.sample(random))  # type: ignore[arg-type]
            view.query(tuple(int(number) for number in np.random.randint(0, 5, 6)))
