"""Has children of its own, as a data loader with workers has."""

import multiprocessing
from dataclasses import dataclass


@dataclass(frozen=True)
class Good:
    """Has children of its own, as a data loader with workers has."""

    reference = "none"

    def search(self, view):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
        view.query(view.space.sample(view.rng))
