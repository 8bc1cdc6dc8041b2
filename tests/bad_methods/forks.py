"""Dies and leaves a child that keeps its pipe open."""

import os
import time
from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Dies and leaves a child that keeps its pipe open."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        view.query(view.space.sample(view.rng))
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        os._exit(1)
