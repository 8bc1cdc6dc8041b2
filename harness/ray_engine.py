"""Run jobs on a Ray cluster. Every Ray actor drives one worker of :mod:`harness.engine`, which keeps runs apart."""

from __future__ import annotations

import logging
import multiprocessing.connection
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from harness.engine import DEATHS, Finished, Surroundings, UnderWay, Worker
from harness.errors import UserError
from harness.job import TICK_S, Job


def on_ray(jobs: Iterable[Job], workers: int, surroundings: Surroundings | None = None) -> Iterator[Finished | UnderWay]:
    """Do the jobs with ``workers`` actors on the cluster that ``RAY_ADDRESS`` names, else on a local one with as many CPUs.

    An actor dies with its node, or when the system is short of memory, but never by a method, which runs in a separate process.
    Its job goes to another actor.

    Raises:
        UserError: Ray does not start, or runs stay undone because actors died.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'nas-harness[ray]'") from None
    around = surroundings or Surroundings()
    if not ray.is_initialized():
        mine = None if os.environ.get("RAY_ADDRESS") else workers
        try:
            ray.init(num_cpus=mine, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            raise UserError(f"Ray does not start: {_first_line(error)}") from None
    actor = ray.remote(max_restarts=0, max_task_retries=0)(_Actor)
    queue = iter(jobs)
    again: list[Job] = []
    undone: list[str] = []
    deaths: Counter[str] = Counter()
    idle: list[Any] = []
    flying: dict[Any, tuple[Any, Job]] = {}
    alive, reason = workers, ""
    try:
        while True:
            while (idle or len(flying) < alive) and (job := again.pop() if again else next(queue, None)) is not None:
                mine = idle.pop() if idle else actor.options(num_gpus=int(job.row.device == "cuda")).remote(around)
                flying[mine.do.remote(job)] = mine, job
            if not flying:
                break
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=TICK_S)
            if not ready:
                yield [(job.row.identity, 0.0) for _, job in flying.values()]
            for reference in ready:
                mine, job = flying.pop(reference)
                try:
                    finished = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if isinstance(cause := getattr(error, "cause", None), UserError):
                        raise cause from None
                    raise
                except ray.exceptions.RayError as error:
                    alive, reason = alive - 1, _first_line(error)
                    deaths[job.runs[0].run_id] += 1
                    if deaths[job.runs[0].run_id] < DEATHS and alive:
                        again.append(job)
                    else:
                        undone += [run.run_id for run in job.runs]
                    continue
                idle.append(mine)
                yield from finished
    finally:
        for mine, _ in flying.values():
            ray.kill(mine)
        for mine in idle:
            ray.kill(mine)
    if undone or again:
        count = len(undone) + sum(len(job.runs) for job in again)
        raise UserError(f"{count} runs stay undone, Ray actors died ({reason}); the same command goes on")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


class _Actor:
    """A process of the cluster that keeps one worker."""

    def __init__(self, around: Surroundings) -> None:
        settings = {name: value for name, value in around.environment.items() if name.startswith("NAS_")}
        # the environment of this node names the actor's GPUs; it overrides the settings of the harness
        self._around = Surroundings(environment={**settings, **os.environ}, threads=around.threads)
        self._worker: Worker | None = None
        self._deaths: Counter[str] = Counter()

    def do(self, job: Job) -> list[Finished]:
        """Do the runs of ``job`` and return them, in order."""
        finished: list[Finished] = []
        todo = [job]
        while todo:
            if self._worker is not None and self._worker.alive:
                self._worker.give(todo.pop())
            else:
                self._worker = Worker(todo.pop(), self._around)
            worker = self._worker
            while worker.alive and worker.left:
                multiprocessing.connection.wait([worker.pipe], timeout=TICK_S)
                finished += [(job.row, run, result) for run, result in worker.receive()]
            if not worker.alive:
                lost, todo = worker.settle(self._deaths)
                finished += lost
        return finished
