"""Changes the folder, the environment, the modules, the random generators and the limits of its process, and starts others."""

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np

from harness.view import SearchView

SEEN: list[SearchView] = []


@dataclass(frozen=True)
class Bad:
    """Changes the folder, the environment, the modules, the random generators and the limits of its process."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        SEEN.append(view)
        if len(SEEN) > 1:
            raise RuntimeError("another run of mine was in this process")
        os.chdir("/")
        os.environ["NAS_DATA"] = os.environ["NAS_CACHE"] = "/nowhere"
        os.environ["OMP_NUM_THREADS"] = "7"
        random.seed(1)
        np.random.seed(1)
        np.seterr(all="raise")
        sys.setrecursionlimit(80)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        os.umask(0o777)
        for name in [name for name in sys.modules if name.startswith(("methods", "benchmarks"))]:
            del sys.modules[name]
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        subprocess.Popen(["sleep", "600"])
        view.query(view.space.sample(view.rng))
