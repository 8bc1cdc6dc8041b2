"""Stuck in C code, where no signal handler of Python runs."""

import itertools
from collections import deque
from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Stuck in C code, where no signal handler of Python runs."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        deque(itertools.repeat(0), maxlen=0)
