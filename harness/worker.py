"""A worker: a fresh process that opens benchmarks, forks a process for each run, and judges the outcomes.

Three kinds of process keep the runs apart::

    worker      opens benchmarks; never imports a method. Judges in a fork of itself.
      host      a fork of the worker that imports one row's method and never runs it.
        run     a fork of the host: one search, or one training.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from harness import registry
from harness.errors import UserError
from harness.execute import judge, open_problem, search, without_harness
from harness.isolation import Board, Mailbox, end_group, fork, seed_globals
from harness.outcome import Outcome, Result, printable
from harness.problem import Problem
from harness.retrain import retrain
from harness.seeds import derive
from harness.spec import RowSpec, RunSpec

TICK_S = 0.5
"""Longest delay of finished runs, and of news of a running one."""
GRACE_S = 10.0
"""Seconds after its wall limit at which a run is killed that cannot be interrupted (stuck in C code)."""
START_S = 300.0
"""Seconds that the import of a method may take until its search begins. The wall limit counts from there."""
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
"""Signals by which a system short of memory, or a person, ends a process. Once is not the method's fault."""
TRIES = 2
"""Number of starts of a run whose process is ended from outside."""


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


Ended = tuple[tuple[RunSpec, ...], bytes | Result]
"""Runs whose process has ended, and their pickled outcomes; or one run that left none, and its result."""
Said = list[Result] | Share | UserError
"""What a worker sends: finished runs in order, news of the run under way, or why it cannot work."""


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


def work(pipe: Connection[Any, Any]) -> None:
    """A worker's life: receive a job, do its runs, send results at least twice a second; end when the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    _default_signals()
    worker = _Worker(pipe)
    with contextlib.suppress(EOFError, OSError):
        while (job := pipe.recv()) is not None:
            try:
                worker.do(job)
            except UserError as error:
                pipe.send(error)
    worker.dismiss_host()


class _Worker:
    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._host: _Host | None = None

    def do(self, job: Job) -> None:
        """Do every run of ``job`` and send the results, in order."""
        problem = open_problem(job.row)
        if self._host is None or self._host.row.identity != job.row.identity:
            self.dismiss_host()
            _load(problem)
            gc.collect()
            gc.freeze()  # a collection in a forked process would copy every page that it visits
            self._host = _Host(job.row, self._pipe)
        self._host.give(job)
        ended: list[Ended] = []
        sent = time.monotonic()
        at, alone = 0, False
        while at < len(job.runs):
            status, message = self._host.run(at, alone)
            if message is None and self._host.together:
                alone = True  # some run of a pure method took its process down: find out which
                continue
            runs = job.runs[at : at + (self._host.count if message is not None else 1)]
            ended.append((runs, self._without_outcome(runs[0], at, status) if message is None else message))
            at += len(runs)
            if time.monotonic() - sent > TICK_S:
                self._send(job, ended)
                ended, sent = [], time.monotonic()
        self._send(job, ended)

    def dismiss_host(self) -> None:
        if self._host is not None:
            self._host.dismiss()
            self._host = None

    def _without_outcome(self, run: RunSpec, index: int, status: int) -> bytes | Result:
        """Do a run again whose process was ended from outside. Return its outcome, or the result of a run without one."""
        assert self._host is not None
        tried, message = 1, None
        while not self._host.overdue and _from_outside(status) and tried < TRIES:
            status, message = self._host.run(index, alone=True)
            tried += 1
            if message is not None:
                return message
        if self._host.overdue:
            return Result(run.run_id, "timeout", error=self._host.overdue)
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        times = f", {tried} times" if tried > 1 else ""
        return Result(run.run_id, "crashed", error=f"the process of this run died ({how}{times})")

    def _send(self, job: Job, ended: list[Ended]) -> None:
        if not ended:
            return
        results = _judged(job, ended)
        if results is None:  # the judge itself died: find out by which runs
            results = []
            for runs, message in ended:
                why = "the process that judged what it proposed died"
                results += _judged(job, [(runs, message)]) or [Result(run.run_id, "crashed", error=why) for run in runs]
        self._pipe.send(results)


def _from_outside(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) in FROM_OUTSIDE


def _default_signals() -> None:
    """Undo what this process inherited, or an import changed: children are waited for, and the wall limit rings."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM, signal.SIGCHLD, signal.SIGINT, signal.SIGTERM})


def _load(problem: Problem) -> None:
    """Ask one question, so that what the oracle loads at its first query is loaded once, and not in every run."""
    if oracle := problem.oracle(0):
        with contextlib.suppress(Exception):
            oracle.measure(problem.space.sample(random.Random(0)), None, 0)


def _judged(job: Job, ended: list[Ended]) -> list[Result] | None:
    """Judge outcomes in a fork of the worker, which no method has touched. None where that process died."""
    if all(isinstance(message, Result) for _, message in ended):
        return [message for _, message in ended if isinstance(message, Result)]
    mailbox = Mailbox()

    def body() -> None:
        results = []
        for runs, message in ended:
            outcomes = [message] if isinstance(message, Result) else pickle.loads(message)
            for run, outcome in zip(runs, outcomes, strict=True):
                results.append(outcome if isinstance(outcome, Result) else judge(job.row, run, outcome))
        mailbox.put(pickle.dumps(results, pickle.HIGHEST_PROTOCOL))

    os.waitpid(fork(body), 0)
    message = mailbox.get()
    mailbox.close()
    results: list[Result] | None = None if message is None else pickle.loads(message)
    return results


class _Host:
    """The worker's end of a host: hands it runs, kills what is overdue, notices a driver that is gone."""

    def __init__(self, row: RowSpec, driver: Connection[Any, Any]) -> None:
        self.row = row
        self.overdue = ""
        """Why the last run was killed, if it took too long."""
        self.together = False
        """Whether the last process was to do several runs."""
        self._driver = driver
        self._board, self._mailbox = Board(), Mailbox()
        self._begin()

    def _begin(self) -> None:
        self._pipe, theirs = Pipe()
        self._pid = fork(partial(_host, self.row, theirs, self._pipe, self._driver, self._board, self._mailbox))
        theirs.close()

    def give(self, job: Job) -> None:
        """Say which job the next runs are of."""
        self._task = job
        with contextlib.suppress(OSError):  # a host that died is noticed at the first run
            self._pipe.send(job)

    @property
    def count(self) -> int:
        """Number of outcomes in the last message."""
        return self._board.count

    def run(self, first: int, alone: bool) -> tuple[int, bytes | None]:
        """Let the host do a run, or several of a pure method. Return the exit status of their process and what it left.

        Args:
            first: position of the run in the job.
            alone: one run only, even of a pure method.
        """
        self.overdue = ""
        self._mailbox.clear()
        self._board.clear()
        said, handed = 0.0, time.monotonic()
        try:
            self._pipe.send((first, alone))
            while not self._pipe.poll():
                ready = wait([self._pipe, self._driver], timeout=TICK_S)
                if self._driver in ready and self._pipe not in ready:
                    raise EOFError("the driver is gone")  # it says nothing while a job is being done
                running = self._board.running_s
                late = running > self.row.wall_limit_s + self._task.grace_s
                if late or (not running and time.monotonic() - handed > self._task.start_s):
                    self._kill()
                if self._board.share != said:
                    said = self._board.share
                    self._driver.send(Share(said))
            status, self.together, error = self._pipe.recv()
        except (EOFError, ConnectionError):
            if self._driver.poll():
                raise
            self.together = False
            return self._replace(), None  # the host died
        if error is not None:
            raise error
        return status, self._mailbox.get() if status == 0 else None

    def _kill(self) -> None:
        """End the run, or the import of the method, that takes too long."""
        if self._board.running_s:
            self.overdue = f"could not be interrupted after {self.row.wall_limit_s:g} s of real time; killed"
        else:
            self.overdue = f"the search had not begun after {self._task.start_s:g} s of real time; killed"
        if process := self._board.process:
            end_group(process)
        else:
            os.kill(self._pid, signal.SIGKILL)

    def _replace(self) -> int:
        end_group(self._board.process)
        _, status = os.waitpid(self._pid, 0)
        self._pipe.close()
        self._begin()
        self.give(self._task)
        return status

    def dismiss(self) -> None:
        """End the host and all that runs in it."""
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        end_group(self._board.process)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        self._pipe.close()
        self._mailbox.close()


def _host(
    row: RowSpec,
    pipe: Connection[Any, Any],
    theirs: Connection[Any, Any],
    driver: Connection[Any, Any],
    board: Board,
    mailbox: Mailbox,
) -> None:
    """A host's life: import the row's method once, then fork a process for each run and wait for it."""
    theirs.close()
    driver.close()
    error: UserError | None = None
    pure = False
    try:
        if row.method:
            pure = registry.method(row.method).pure
    except UserError as problem:
        error = problem
    _default_signals()
    if row.trained_on:
        import torch  # noqa: F401  # once, and not in every run
    gc.collect()
    gc.freeze()
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = pipe.recv()
            if isinstance(message, Job):
                job = message
                continue
            if error is not None:
                pipe.send((0, False, error))
                continue
            first, alone = message
            last = len(job.runs) if pure and not alone else first + 1
            pid = fork(partial(_run, job, job.runs[first:last], pipe, board, mailbox), leads_group=True)
            board.process = pid
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its id stays taken until its group has ended
            end_group(pid)
            board.process = 0
            _, status = os.waitpid(pid, 0)
            pipe.send((status, last > first + 1, None))


def _run(job: Job, runs: tuple[RunSpec, ...], pipe: Connection[Any, Any], board: Board, mailbox: Mailbox) -> None:
    """A run's life: one search or training, whose outcome goes into the mailbox; of a pure method several, for a moment."""
    pipe.close()  # the host's: what a run leaves behind must not keep it open
    signal.signal(signal.SIGINT, signal.default_int_handler)
    me, began = os.getpid(), time.monotonic()

    def report(share: float) -> None:
        board.share = share

    outcomes: list[Outcome | Result] = []
    for run in runs:
        seed_globals(derive("globals", run.method_seed, run.world_seed))
        try:
            outcomes.append(attempt(job, run, report, board.start))
        except Exception as error:  # before the search began: a method that refuses its settings, an oracle that does not open
            outcomes.append(Result(run.run_id, "failed", error=printable(without_harness(error))))
        if time.monotonic() - began > TICK_S:
            break
    if os.getpid() == me:  # and not a child that the method forked and let return
        board.count = len(outcomes)
        mailbox.put(pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL))


def main(descriptor: int) -> None:
    """Entry point of a worker process that the local engine starts; ``descriptor`` is its end of a socket to the driver."""
    work(Connection(descriptor))
