"""The unit of work of an engine: a few runs of one row, and how a run is attempted or only sampled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.execute import search
from harness.outcome import Outcome, Result
from harness.retrain import retrain
from harness.spec import RowSpec, RunSpec

TICK_S = 0.5
"""Longest delay of finished runs, and of news of a running one."""
GRACE_S = 10.0
"""Seconds after its wall limit at which a run is killed that cannot be interrupted (stuck in C code)."""
START_S = 300.0
"""Seconds that the import of a method may take until its search begins. The wall limit counts from there."""


@dataclass(frozen=True)
class Job:
    """A few runs of one row, which one worker does one after the other."""

    row: RowSpec
    runs: tuple[RunSpec, ...]
    checkpoints: Path | None = None
    """Folder for the checkpoints of long searches."""
    sample_s: float = 0.0
    """After this many seconds, stop a run that reports its progress; its result is ``sampled``, with the projected seconds of
    the whole run. 0: never."""
    grace_s: float = GRACE_S
    """How long after its wall limit a run that cannot be interrupted is killed."""
    start_s: float = START_S
    """How long the method's import may take."""


@dataclass(frozen=True)
class Share:
    """Progress of the run that a worker does."""

    share: float


def attempt(
    job: Job, run: RunSpec, report: Callable[[float], None] | None = None, started: Callable[[], None] = lambda: None
) -> Outcome | Result:
    """Search, or train, in this process. A KeyboardInterrupt can only be the method's own doing."""
    sample = Sample(job.sample_s) if job.sample_s else None
    try:
        ended: Outcome | Result = (retrain if run.arch else search)(job.row, run, job.checkpoints, sample or report, started)
    except KeyboardInterrupt:
        return Result(run.run_id, "failed", error="KeyboardInterrupt, raised by the method itself")
    return Result(run.run_id, "sampled", wall_seconds=sample.projected) if sample and sample.projected else ended


PATIENCE = 10
"""A run whose first part takes longer than this many samples is judged by it, its start included."""


class Sample:
    """Projects, from how far a run has come in a few seconds, how long it takes; then ends it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.projected = seconds, 0.0
        self._began = time.monotonic()
        self._from = self._began, 0.0

    def __call__(self, share: float) -> None:
        now, (since, before) = time.monotonic(), self._from
        passed = now - since
        if share <= before:
            return
        if not before and passed < PATIENCE * self.seconds:
            self._from = now, share  # what came before the first sign of progress is done once, and not in every part of a run
        elif passed >= self.seconds:
            self.projected = since - self._began + passed * (1 - before) / (share - before)
            raise Enough


class Enough(BaseException):
    """Ends a run that was only sampled."""
