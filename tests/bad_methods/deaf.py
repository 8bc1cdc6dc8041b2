"""Cannot be interrupted, as code stuck in a library cannot."""

import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """Cannot be interrupted, as code stuck in a library cannot."""

    reference = "none"

    def search(self, view):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        while True:
            pass
