"""Run jobs on a Ray cluster. Every Ray actor drives one worker of :mod:`harness.engine`, which keeps runs apart."""

from __future__ import annotations

import logging
import multiprocessing.connection
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.engine import LOSSES, Deaths, Finished, Surroundings, UnderWay, Worker
from harness.errors import UserError
from harness.job import TICK_S, Job, Jobs
from harness.outcome import Result
from harness.spec import RunSpec

LISTEN_S = 5.0
"""Longest time that an actor says nothing about a long run, in seconds, unless there are many actors."""
ANSWERS = 50
"""Number of such answers a second, from all actors together, that the driver has time for."""
EMPTY_S = 120.0
"""Seconds without any actor after which the sweep ends."""
STARTING = 16
"""Number of actors that may start at a time, also as the part of all workers: a node that starts too many seems dead."""


def on_ray(
    jobs: Iterable[Job], workers: int, surroundings: Surroundings | None = None, *, gpus_per_run: float = 1.0
) -> Iterator[Finished | UnderWay]:
    """Do the jobs with ``workers`` actors on the cluster that ``RAY_ADDRESS`` names, else on a local one with as many CPUs.

    An actor dies with its node, or when the system is short of memory, but never by a method, which runs in a separate process.
    Another actor takes its place as soon as a node has room for it. The run that it did goes on elsewhere, from its checkpoint
    if it has one, and counts as crashed after ``LOSSES`` deaths without progress.

    Args:
        gpus_per_run: share of a GPU for each actor, if the rows need a GPU.

    Raises:
        UserError: Ray does not start, or no node has room for an actor.
    """
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # else Ray prints a page on stdout for each node that dies
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'nas-harness[ray]'") from None
    queue = Jobs(jobs)
    first = queue.take()
    if first is None:
        return
    queue.back.append(first)
    around = surroundings or Surroundings()
    if not ray.is_initialized():
        mine = None if os.environ.get("RAY_ADDRESS") else workers * around.threads
        try:
            ray.init(num_cpus=mine, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            raise UserError(f"Ray does not start: {_first_line(error)}") from None
    needs = {"num_cpus": around.threads, "num_gpus": gpus_per_run if first.row.device == "cuda" else 0}
    actor = ray.remote(max_restarts=0, max_task_retries=0)(_Actor).options(**needs)
    shared = ray.put(around)
    deaths = Deaths(LOSSES)
    flying: dict[Any, _Post] = {}
    """By the reference of its answer, an actor that starts or does a job."""
    reason = ""
    said = seen = time.monotonic()

    try:
        while queue.back or not queue.exhausted or any(post.job for post in flying.values()):
            starting = sum(post.job is None for post in flying.values())
            lacking = min(
                workers - len(flying) if not queue.exhausted else len(queue.back) - starting,
                max(STARTING, workers // STARTING) - starting,
            )
            for _ in range(lacking):
                post = _Post(actor.remote(shared, listen_s(workers)))
                flying[post.actor.ready.remote()] = post
            ready, _ = ray.wait(list(flying), num_returns=len(flying), timeout=0)
            if not ready:
                ready, _ = ray.wait(list(flying), num_returns=1, timeout=TICK_S)
            if time.monotonic() - said >= TICK_S:
                said = time.monotonic()
                yield [(post.job.row.identity, post.share) for post in flying.values() if post.job]
                if any(post.job for post in flying.values()):
                    seen = said
                elif said - seen > EMPTY_S:
                    raise UserError(_no_room(needs, reason))
            for reference in ready:
                post = flying.pop(reference)
                try:
                    results, post.share = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if isinstance(cause := getattr(error, "cause", None), UserError):
                        raise cause from None
                    raise
                except ray.exceptions.RayError as error:
                    reason = _first_line(error)
                    if post.job:
                        lost, unfinished = deaths.settle(post.job, post.left, post.share, reason)
                        yield from lost
                        queue.back += unfinished
                    continue
                if post.job:
                    for result in results:
                        yield post.job.row, post.left.pop(0), result
                if post.left:
                    flying[post.actor.listen.remote()] = post
                elif (job := queue.take()) is not None:
                    post.job, post.left, post.share = job, list(job.runs), 0.0
                    flying[post.actor.do.remote(job)] = post
                else:
                    ray.kill(post.actor)  # its node may serve others
    finally:
        for post in flying.values():
            ray.kill(post.actor)


def listen_s(workers: int) -> float:
    """Return the longest time that each of these workers says nothing about a long run, in seconds."""
    return max(LISTEN_S, workers / ANSWERS)


@dataclass
class _Post:
    """The driver's view of an actor: its job, and the runs of the job without a result. Without a job, it starts."""

    actor: Any
    job: Job | None = None
    left: list[RunSpec] = field(default_factory=list)
    share: float = 0.0


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _no_room(needs: dict[str, float], reason: str) -> str:
    """Return what the cluster lacks."""
    amount = f"{needs['num_cpus']:g} CPU" + (f" and {needs['num_gpus']:g} GPU" if needs["num_gpus"] else "")
    why = f" (the last actor died: {reason})" if reason else ""
    return (
        f"no node of the Ray cluster has had room for a worker with {amount} for {EMPTY_S:g} s{why}; the same command goes on"
    )


Answer = tuple[list[Result], float]
"""Results of the next runs of a job, in order, and the share of the run under way."""


class _Actor:
    """A process of the cluster that keeps one worker.

    Args:
        listen_s: longest time until :meth:`listen` returns, in seconds.
    """

    def __init__(self, around: Surroundings, listen_s: float) -> None:
        self._around, self._listen_s = around.on_this_node(), listen_s
        self._worker: Worker | None = None
        self._deaths = Deaths()

    def ready(self) -> Answer:
        """Return at once: the actor has a place in the cluster."""
        return [], 0.0

    def do(self, job: Job) -> Answer:
        """Begin a job. Return as :meth:`listen` does."""
        if self._worker is not None and self._worker.alive:
            self._worker.give(job)
        else:
            self._worker = Worker(job, self._around)
        return self.listen()

    def listen(self) -> Answer:
        """Return results as soon as there are some, and the share of the run under way after at most ``listen_s``."""
        assert self._worker is not None
        results: list[Result] = []
        end = time.monotonic() + self._listen_s
        while not results and time.monotonic() < end:
            worker = self._worker
            multiprocessing.connection.wait([worker.pipe], timeout=TICK_S)
            results = [result for _, result in worker.receive()]
            if not worker.alive:
                lost, unfinished = self._deaths.settle(worker.job, worker.left, worker.share, worker.cause())
                results += [result for _, _, result in lost]
                for job in unfinished:
                    self._worker = Worker(job, self._around)
        return results, self._worker.share
