"""A worker: a fresh process that opens benchmarks, forks a process for each run, and judges the outcomes.

Three kinds of process keep the runs apart::

    worker      opens benchmarks, imports torch; never imports a method. Judges in a fork of itself.
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
from multiprocessing.connection import Connection
from typing import Any

from harness.errors import UserError
from harness.execute import judge, open_problem
from harness.host import Host
from harness.isolation import Mailbox, default_signals, fork
from harness.job import TICK_S, Job, Share
from harness.outcome import Result
from harness.problem import Problem
from harness.spec import RunSpec

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
"""Signals by which a system short of memory, or a person, ends a process. The first one is not counted against the method."""
TRIES = 2
"""Largest number of starts of a run whose process is ended from outside."""

Ended = tuple[tuple[RunSpec, ...], bytes | Result]
"""Runs whose process has ended, and their pickled outcomes; or one run without an outcome, and its result."""
Message = list[Result] | Share | UserError
"""A message of a worker: results of finished runs in order, progress of the run under way, or why it cannot work."""


def work(pipe: Connection[Any, Any]) -> None:
    """Work until the driver is gone: receive a job, do its runs, and send results at least twice a second."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    default_signals()
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
        self._host: Host | None = None

    def do(self, job: Job) -> None:
        """Do every run of ``job`` and send the results, in order."""
        problem = open_problem(job.row)
        if self._host is None or self._host.row.identity != job.row.identity:
            self.dismiss_host()
            _load(problem)
            if job.row.trained_on:
                _import_torch(job.row.device)
            gc.collect()
            gc.freeze()  # a collection in a forked process would copy every page that it visits
            self._host = Host(job.row, self._pipe)
        self._host.give(job)
        ended: list[Ended] = []
        sent = time.monotonic()
        at, alone = 0, False
        while at < len(job.runs):
            status, message = self._host.run(at, alone)
            if message is None and self._host.together:
                alone = True  # a run of a pure method ended the shared process: find out which one
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
        """Do a run without an outcome again if its process was ended from outside. Return its outcome, or its result."""
        assert self._host is not None
        tried, message = 1, None
        while not self._host.overdue and _from_outside(status) and tried < TRIES:
            status, message = self._host.run(index, alone=True)
            tried += 1
            if message is not None:
                return message
        if self._host.overdue:
            return Result(run.run_id, "timeout", error=self._host.overdue)
        cause = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        times = f", {tried} times" if tried > 1 else ""
        return Result(run.run_id, "crashed", error=f"the process of this run died ({cause}{times})")

    def _send(self, job: Job, ended: list[Ended]) -> None:
        if not ended:
            return
        results = _judged(job, ended)
        if results is None:  # the judging process died: find out which runs ended it
            results = []
            for runs, message in ended:
                why = "the process that judged what it proposed died"
                results += _judged(job, [(runs, message)]) or [Result(run.run_id, "crashed", error=why) for run in runs]
        self._pipe.send(results)


def _from_outside(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) in FROM_OUTSIDE


def _load(problem: Problem) -> None:
    """Query the oracle once, so that it loads its records once and not in every run."""
    if oracle := problem.oracle(0):
        with contextlib.suppress(Exception):
            oracle.measure(problem.space.sample(random.Random(0)), None, 0)


def _import_torch(device: str) -> None:
    """Import torch once, and not in every run. Nothing is computed: a process with threads or a GPU cannot be forked."""
    import torch

    if device == "cpu":  # the import may look for a GPU
        import torch._dynamo  # noqa: F401  # else the first optimizer of every run imports it, in 1.7 s


def _judged(job: Job, ended: list[Ended]) -> list[Result] | None:
    """Judge outcomes in a fork of the worker, which no method has touched. Return None if that process died."""
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


def main(descriptor: int) -> None:
    """Run a worker process that the local engine started. ``descriptor`` is its end of a socket to the driver."""
    work(Connection(descriptor))
