"""A host: a fork of a worker that imports one row's method and never runs it. It forks a process for each run."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import time
from functools import partial
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from harness import machine, registry
from harness.errors import UserError
from harness.execute import without_harness
from harness.isolation import Board, Mailbox, default_signals, end_group, fork, seed_globals
from harness.job import TICK_S, Job, Share, attempt
from harness.outcome import Outcome, Result, printable
from harness.seeds import derive
from harness.spec import RowSpec, RunSpec


class Host:
    """The worker's end of a host. It passes runs to the host, kills an overdue run, and notices a driver that is gone."""

    def __init__(self, row: RowSpec, driver: Connection[Any, Any]) -> None:
        self.row = row
        self.overdue = ""
        """Why the last run was killed, if it took too long."""
        self.together = False
        """True if the last process had several runs to do."""
        self._driver = driver
        self._board, self._mailbox = Board(), Mailbox()
        self._begin()

    def _begin(self) -> None:
        self._pipe, theirs = Pipe()
        self._pid = fork(partial(serve, self.row, theirs, self._pipe, self._driver, self._board, self._mailbox))
        theirs.close()

    def give(self, job: Job) -> None:
        """Set the job of the next runs."""
        self._job = job
        with contextlib.suppress(OSError):  # a host that died is noticed at the first run
            self._pipe.send(job)

    @property
    def count(self) -> int:
        """Return the number of outcomes in the last message."""
        return self._board.count

    def run(self, first: int, alone: bool) -> tuple[int, bytes | None]:
        """Let the host do a run, or several of a pure method. Return the exit status of their process, and its message.

        Args:
            first: position of the run in the job.
            alone: one run only, even of a pure method.
        """
        self.overdue = ""
        self._mailbox.clear()
        self._board.clear()
        reported, handed = 0.0, time.monotonic()
        try:
            self._pipe.send((first, alone))
            while not self._pipe.poll():
                ready = wait([self._pipe, self._driver], timeout=TICK_S)
                if self._driver in ready and self._pipe not in ready:
                    raise EOFError("the driver is gone")  # a living driver sends no message during a job
                running = self._board.running_s
                late = running > self.row.wall_limit_s + self._job.grace_s
                if late or (not running and time.monotonic() - handed > self._job.start_s):
                    self._kill()
                if self._board.share != reported:
                    reported = self._board.share
                    self._driver.send(Share(reported, self._board.reserved))
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
            self.overdue = f"the search had not begun after {self._job.start_s:g} s of real time; killed"
        if process := self._board.process:
            end_group(process)
        else:
            os.kill(self._pid, signal.SIGKILL)

    def _replace(self) -> int:
        end_group(self._board.process)
        _, status = os.waitpid(self._pid, 0)
        self._pipe.close()
        self._begin()
        self.give(self._job)
        return status

    def dismiss(self) -> None:
        """End the host and its runs."""
        with contextlib.suppress(OSError):
            os.kill(self._pid, signal.SIGKILL)
        end_group(self._board.process)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        self._pipe.close()
        self._mailbox.close()


def serve(
    row: RowSpec,
    pipe: Connection[Any, Any],
    theirs: Connection[Any, Any],
    driver: Connection[Any, Any],
    board: Board,
    mailbox: Mailbox,
) -> None:
    """Import the row's method and its libraries once. Then fork a process for each run and wait for it.

    Return when the worker ends this process.
    """
    theirs.close()
    driver.close()
    error: UserError | None = None
    pure = False
    try:
        if row.method:
            method = registry.method(row.method)
            pure = method.pure
            for name in method.imports:
                with contextlib.suppress(Exception):  # the search imports it again and says what is wrong
                    importlib.import_module(name)
    except UserError as problem:
        error = problem
    default_signals()
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
    """Do one search or training, or several of a pure method for up to ``TICK_S``. Put their outcomes into the mailbox."""
    pipe.close()  # the pipe is the host's: a process that a run leaves behind must not keep it open
    signal.signal(signal.SIGINT, signal.default_int_handler)
    me, began, measured = os.getpid(), time.monotonic(), 0.0

    def report(share: float) -> None:
        nonlocal measured
        if time.monotonic() - measured > TICK_S:
            board.reserved, measured = machine.reserved(), time.monotonic()
        board.share = share

    outcomes: list[Outcome | Result] = []
    for run in runs:
        seed_globals(derive("globals", run.method_seed, run.world_seed))
        try:
            outcomes.append(attempt(job, run, report, board.start))
        except Exception as error:  # raised before the search: the method refuses its settings, or the oracle does not open
            outcomes.append(Result(run.run_id, "failed", error=printable(without_harness(error))))
        if time.monotonic() - began > TICK_S:
            break
    if os.getpid() == me:  # False in a child that the method forked and let return
        board.count = len(outcomes)
        mailbox.put(pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL))
