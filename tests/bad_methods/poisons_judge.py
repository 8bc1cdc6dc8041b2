"""Replaces the judge, the query and the sampling of every class that it can find."""

import gc
from collections.abc import Callable
from dataclasses import dataclass

from harness.view import SearchView

SCORES = {"digits": dict.fromkeys(("valid", "test"), 99.99) | {"regret": 0.0, "rank": 1.0}}


def replace(cls: type, name: str, function: Callable[..., object]) -> None:
    """Replace the function of that name, if the class has one."""
    if callable(getattr(cls, name, None)):
        setattr(cls, name, function)


@dataclass(frozen=True)
class Bad:
    """Replaces the judge, the query and the sampling of every class that it can find."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        for candidate in gc.get_objects():
            if isinstance(candidate, type) and candidate.__module__.startswith(("benchmarks", "harness")):
                replace(candidate, "score", lambda self, arch, world=0: SCORES)
                replace(candidate, "sample", lambda self, rng: (3,) * 6)
        view.query(view.space.sample(view.rng))
        replace(type(view), "query", lambda self, arch, fidelity=None: None)
