"""Drive a plan through an engine into the store: claim runs in short chunks, and save finished runs."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator

from harness.engine import Engine, Job
from harness.execute import checkpoint_file
from harness.outcome import Result
from harness.plan import Plan, PlannedRow
from harness.progress import Progress
from harness.spec import RowSpec, RunSpec
from harness.store import Store

CHUNK_S = 0.5
"""Seconds of work in one job; also the longest time between the end of a run and its writing."""
LARGEST_CHUNK = 64
BATCH = 128
"""Largest number of runs that are written in one transaction."""
BEAT_S = 10.0
"""Seconds between two signs of life of this command in the store."""
WAIT_S = 2.0
"""Seconds of waiting for runs of another process before a line says so."""


def sweep(plan: Plan, store: Store, engine: Engine, workers: int, progress: Progress) -> None:
    """Do every run of ``plan`` that is not done, together with other processes that work on the same store.

    Wait for runs that another living process has claimed, and take them over if it dies.

    Raises:
        UserError: the store was lost, or cannot be written.
    """
    store.announce(plan.rows, workers)
    while True:
        sweeper = _Sweep(plan, store, progress)
        sweeper.go(engine, workers)
        if not sweeper.elsewhere or not _free(store, sweeper.elsewhere, progress):
            return


def _free(store: Store, claimed: list[tuple[PlannedRow, RunSpec]], progress: Progress) -> bool:
    """Wait for runs that other processes claimed. Return False when all are finished, True when some are free again."""
    began = beaten = time.monotonic()
    announced = False
    while claimed:
        if store.claimable([run for _, run in claimed]):
            return True
        if not announced and time.monotonic() - began > WAIT_S:
            holders = store.holders([run for _, run in claimed])
            announced = bool(holders)
            for host, runs in holders.items():
                progress.say(f"waiting for {runs} run{'s' * (runs != 1)} claimed by {host}")
        time.sleep(0.5)
        if time.monotonic() - beaten > BEAT_S:
            store.beat()
            beaten = time.monotonic()
        finished = store.finished([run for _, run in claimed])
        for row, run in claimed:
            if run.run_id in finished:
                row.done.add(run.run_id)
                progress.elsewhere(row.spec.identity)
        claimed = [(row, run) for row, run in claimed if run.run_id not in finished]
    return False


class _Sweep:
    def __init__(self, plan: Plan, store: Store, progress: Progress) -> None:
        self.plan, self.store, self.progress = plan, store, progress
        self.pace: dict[str, float] = {}
        """Real seconds of a run, by row."""
        self.begun: set[str] = set()
        self.elsewhere: list[tuple[PlannedRow, RunSpec]] = []
        """Runs that other processes have claimed."""
        self.ready: dict[str, list[tuple[RunSpec, Result]]] = {}
        self.saved = self.beaten = time.monotonic()
        self.rows = {row.spec.identity: row for row in plan.rows}
        self.checkpoints = store.path.parent.absolute() / "checkpoints"

    def go(self, engine: Engine, workers: int) -> None:
        running = engine(self.jobs(), workers)
        try:
            for finished in running:
                now = time.monotonic()
                if not isinstance(finished, list):
                    self.keep(*finished)
                if now - self.saved > CHUNK_S or sum(map(len, self.ready.values())) >= BATCH:
                    self.save()
                if now - self.beaten > BEAT_S:
                    self.store.beat()
                    self.beaten = now
                if isinstance(finished, list):
                    self.store.check()
                    self.progress.tick(finished)
        finally:
            if isinstance(running, Generator):
                running.close()  # stops the workers
            self.save()

    def jobs(self) -> Iterator[Job]:
        """Yield jobs of claimed runs, each about ``CHUNK_S`` of work. A job of a slow row has one run.

        A quick row is done as a whole. A slow row gives way after its first run, so that every row is soon on the page. Then
        the rows with the longest runs come first, so that the workers end at about the same time.
        """
        left = {planned.spec.identity: planned.todo for planned in self.plan.rows}
        while left := {identity: todo for identity, todo in left.items() if todo}:
            identity = min(left, key=self._turn)  # the first of the plan, if several have the same turn
            todo, planned = left[identity], self.rows[identity]
            pace = self.pace.get(identity)
            size = 1 if pace is None else max(1, min(LARGEST_CHUNK, int(CHUNK_S / max(pace, 1e-9))))
            chunk, left[identity] = todo[:size], todo[size:]
            self.begun.add(identity)
            self.progress.started(identity)
            mine = self.store.claim(planned.spec, chunk)
            self.elsewhere += [(planned, run) for run in chunk if run not in mine]
            if mine:
                yield Job(planned.spec, tuple(mine), self.checkpoints)

    def _turn(self, identity: str) -> tuple[int, float]:
        """Return when a row comes, as a number to sort by: quick rows, new rows, then slow rows by the length of their runs.

        A row whose first run is still under way counts as the slowest.
        """
        pace = self.pace.get(identity)
        if pace is not None and pace < CHUNK_S:
            return 0, 0.0
        if identity not in self.begun:
            return 1, 0.0
        return 2, -math.inf if pace is None else -pace

    def keep(self, row: RowSpec, run: RunSpec, result: Result) -> None:
        self.ready.setdefault(row.identity, []).append((run, result))
        before = self.pace.get(row.identity, result.wall_seconds)
        self.pace[row.identity] = 0.8 * before + 0.2 * result.wall_seconds
        self.progress.finished(row.identity, result)

    def save(self) -> None:
        for identity in list(self.ready):
            finished = self.ready[identity]
            self.store.save(self.rows[identity].spec, finished)
            del self.ready[identity]  # not before: an interrupt while saving loses nothing
            self.rows[identity].done.update(run.run_id for run, _ in finished)
            for run, result in finished if self.checkpoints.is_dir() else ():
                if result.status == "done":  # a failed run may be tried again from its checkpoint
                    checkpoint_file(self.checkpoints, run).forget()
        self.saved = time.monotonic()
