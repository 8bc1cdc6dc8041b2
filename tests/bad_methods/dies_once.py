"""Is killed from outside the first time that it runs: a file says whether it was."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from harness.view import SearchView


@dataclass(frozen=True)
class Unlucky:
    """Is killed from outside the first time that it runs."""

    folder: Annotated[str, "where it leaves a mark"] = "."
    reference = "none"

    def search(self, view: SearchView) -> None:
        mark = Path(self.folder) / f"{view.seed('mark')}.mark"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        view.query(view.space.sample(view.rng))
