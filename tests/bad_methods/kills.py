"""Takes its worker down, in about every second search."""

import os
import signal
from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Takes its worker down, in about every second search."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        if view.seed("which") % 2 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        while True:
            view.query(view.space.sample(view.rng))
