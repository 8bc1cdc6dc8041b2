"""Runs tasks on this machine's cores: one crash costs one run. ``ray_engine`` does the same on a Ray cluster.

An engine takes an iterator of tasks, pulled only when a worker is free, and yields each finished run, or, when nothing
happened for a while, how far the runs under way are (so that the driver can write and show progress).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ctypes import Array, c_double
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.execute import execute
from harness.outcome import Result
from harness.plan import RowSpec, RunSpec
from harness.problem import UserError
from harness.retrain import retrain

TICK_S = 0.5
GRACE_S = 10.0
"""How long after its wall limit a worker that cannot be interrupted (stuck in C code) is killed."""


@dataclass(frozen=True)
class Task:
    """A few runs of one row, done one after the other by one worker."""

    row: RowSpec
    runs: tuple[RunSpec, ...]
    checkpoints: Path | None = None
    """Where long searches keep themselves."""
    sample_s: float = 0.0
    """After so many seconds a run that says how far it is is stopped, its result being ``sampled``, with the seconds that it
    would have taken; 0: never."""


Finished = tuple[RowSpec, RunSpec, Result]
UnderWay = list[tuple[str, float]]
"""For runs that were started: the row's identity, and the share that is done where the method says so, else 0."""
Engine = Callable[[Iterable[Task], int], Iterator[Finished | UnderWay]]


def crashed(run: RunSpec, why: str) -> Result:
    """What remains of a run whose worker died."""
    return Result(run.run_id, "crashed", error=why)


def local(tasks: Iterable[Task], workers: int) -> Iterator[Finished | UnderWay]:
    """Worker processes, started fresh (``spawn``), so that whatever a method does to its process stays there."""
    queue = iter(tasks)
    pending: list[Task] = []  # runs of a dead worker that it had not started

    def following() -> Task | None:
        return pending.pop() if pending else next(queue, None)

    crew: list[_Worker] = []
    try:
        task = following()
        while task is not None and len(crew) < workers:
            crew.append(_Worker(task))
            task = following() if len(crew) < workers else None
        while crew:
            ready = multiprocessing.connection.wait([worker.pipe for worker in crew], timeout=TICK_S)
            if not ready:
                yield [(worker.task.row.identity, worker.at[2]) for worker in crew]
            for worker in list(crew):
                if worker.overdue():
                    worker.process.kill()
                if worker.pipe in ready or not worker.process.is_alive():
                    for run, result in worker.receive():
                        yield worker.task.row, run, result
                    if worker.dead:
                        crew.remove(worker)
                        if (culprit := worker.culprit()) is not None:
                            yield worker.task.row, culprit, worker.verdict(culprit)
                        if worker.left:
                            pending.append(replace(worker.task, runs=tuple(worker.left)))
                        if (again := following()) is not None:
                            crew.append(_Worker(again))
                    elif not worker.left:
                        if (again := following()) is not None:
                            worker.give(again)
                        else:
                            crew.remove(worker)
                            worker.dismiss()
    finally:
        for worker in crew:
            worker.process.kill()


class _Worker:
    """One process, its pipe, and a slot of shared memory that says which run it is in and since when."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.at: Array[c_double] = context.RawArray(c_double, 3)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self.at), daemon=True)
        with _interrupts_held():  # Ctrl-C is the driver's to handle, from the worker's first moment on
            self.process.start()
        theirs.close()
        self.dead = False
        self.killed = False
        self.give(task)

    def give(self, task: Task) -> None:
        self.task = task
        self.left = list(task.runs)
        self.at[0] = -1.0
        with contextlib.suppress(OSError):  # a worker that died just now is noticed when it is read
            self.pipe.send(task)

    def receive(self) -> list[tuple[RunSpec, Result]]:
        """What has arrived; sets ``dead`` once the worker is gone and everything it sent has been read."""
        arrived: list[tuple[RunSpec, Result]] = []
        gone = not self.process.is_alive()  # before reading: what it sent last is still read
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, UserError):
                    raise message
                arrived += [(self.left.pop(0), result) for result in message]
        except (EOFError, OSError):
            gone = True
        if gone:  # a child that it left behind may keep the pipe open for ever
            self.dead = True
            self.process.join()
        return arrived

    def overdue(self) -> bool:
        """Whether its current run is far past the limit that should have interrupted it."""
        index, since, _ = self.at
        self.killed = self.killed or (
            bool(self.left) and index >= 0 and time.monotonic() - since > self.task.row.wall_limit_s + GRACE_S
        )
        return self.killed

    def culprit(self) -> RunSpec | None:
        """The run in which a dead worker died; taken off what is left. Runs finished but not yet sent are done again.

        Where it died between runs, the first of what is left: so every death costs a run, and none is repeated for ever.
        """
        if not self.left:
            return None
        index = int(self.at[0])
        run = self.task.runs[index] if index >= 0 and self.task.runs[index] in self.left else self.left[0]
        self.left.remove(run)
        return run

    def verdict(self, run: RunSpec) -> Result:
        if self.killed:
            limit = self.task.row.wall_limit_s
            return Result(run.run_id, "timeout", error=f"could not be interrupted after {limit:g} s of real time; killed")
        code = self.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return crashed(run, f"the worker process died in this run ({how})")

    def dismiss(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.pipe.close()
        self.process.join(timeout=5)


def attempt(task: Task, run: RunSpec, report: Callable[[float], None] | None = None) -> Result:
    """A search or a training on a worker, where a KeyboardInterrupt can only be the method's own doing."""
    sample = _Sample(task.sample_s) if task.sample_s else None
    try:
        result = (retrain if run.arch else execute)(task.row, run, task.checkpoints, sample or report)
    except KeyboardInterrupt:
        return Result(run.run_id, "failed", error="KeyboardInterrupt, raised by the method itself")
    return Result(run.run_id, "sampled", wall_seconds=sample.whole) if sample and sample.whole else result


PATIENCE = 10
"""A run whose first part takes longer than so many samples is judged by it, its start included."""


class _Sample:
    """Projects, from how far a run has come in a few seconds, how long it takes; and then ends it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.whole = seconds, 0.0
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
            self.whole = since - self._began + passed * (1 - before) / (share - before)
            raise _Enough


class _Enough(BaseException):
    """Ends a run that was only sampled."""


def _work(pipe: multiprocessing.connection.Connection[Any, Any], at: Array[c_double]) -> None:
    """A worker's life: take a task, run it, send what is finished at least twice a second."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while (task := pipe.recv()) is not None:
            ready: list[Result] = []
            sent = time.monotonic()
            for index, run in enumerate(task.runs):
                at[1] = time.monotonic()
                at[2] = 0.0
                at[0] = index
                try:
                    ready.append(attempt(task, run, lambda share: at.__setitem__(2, share)))
                except UserError as error:
                    pipe.send(error)
                    return
                if time.monotonic() - sent > TICK_S:
                    pipe.send(ready)
                    ready, sent = [], time.monotonic()
            at[0] = -1.0
            pipe.send(ready)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
