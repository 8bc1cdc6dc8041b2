"""The unit of work of an engine: a few runs of one row, and how a run is attempted or only sampled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.execute import search
from harness.outcome import Outcome, Result
from harness.retrain import retrain
from harness.spec import RowSpec, RunSpec

TICK_S = 0.5
"""Longest delay of the results of finished runs, and of the progress of a running one, in seconds."""
GRACE_S = 10.0
"""Seconds after its wall limit at which a run is killed if it cannot be interrupted (stuck in C code)."""
START_S = 300.0
"""Seconds that the import of a method may take until its search begins. The wall limit counts from the start of the search."""


@dataclass(frozen=True)
class Job:
    """A few runs of one row, which one worker does one after the other."""

    row: RowSpec
    runs: tuple[RunSpec, ...]
    checkpoints: Path | None = None
    """Folder for the checkpoints of long searches."""
    sample_s: float = 0.0
    """After this many seconds, stop a run that reports its progress; its result is ``sampled``, with the projected seconds of
    the complete run. 0: never."""
    grace_s: float = GRACE_S
    """See :data:`GRACE_S`."""
    start_s: float = START_S
    """See :data:`START_S`."""


class Jobs:
    """The jobs that no worker does yet: those that came back, then those of an iterator, which is pulled one by one."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.back: list[Job] = []
        """Jobs to do again, for example because their worker died."""
        self.exhausted = False
        """True when the iterator has no more jobs."""
        self._rest = iter(jobs)

    def take(self) -> Job | None:
        """Return the next job; None if there is none now."""
        if self.back:
            return self.back.pop()
        job = None if self.exhausted else next(self._rest, None)
        self.exhausted = job is None
        return job


@dataclass(frozen=True)
class Share:
    """Progress of the run that a worker does."""

    share: float
    reserved: int = 0
    """The most bytes of a GPU that the run has reserved."""


def attempt(
    job: Job, run: RunSpec, report: Callable[[float], None] | None = None, started: Callable[[], None] = lambda: None
) -> Outcome | Result:
    """Search, or train, in this process. A KeyboardInterrupt counts as raised by the method itself."""
    sample = Sample(job.sample_s) if job.sample_s else None
    try:
        ended: Outcome | Result = (retrain if run.arch else search)(job.row, run, job.checkpoints, sample or report, started)
    except KeyboardInterrupt:
        return Result(run.run_id, "failed", error="KeyboardInterrupt, raised by the method itself")
    return Result(run.run_id, "sampled", wall_seconds=sample.projected) if sample and sample.projected else ended


PATIENCE = 10
"""If the first part of a run takes longer than this number of samples, it gives the projection, start included."""


class Sample:
    """A ``report`` that projects the seconds of a run from its progress in the first seconds, and then ends it."""

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
            self._from = now, share  # work before the first report is done once, and not in every part of a run
        elif passed >= self.seconds:
            self.projected = since - self._began + passed * (1 - before) / (share - before)
            raise Enough


class Enough(BaseException):
    """The end of a run that was only sampled."""
