"""Runs tasks on a Ray cluster, by the same code path as on this machine."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from harness.engine import GRACE_S, TICK_S, Finished, Task, UnderWay, attempt, crashed
from harness.outcome import Result
from harness.problem import UserError


def on_ray(tasks: Iterable[Task], workers: int) -> Iterator[Finished | UnderWay]:
    """A Ray cluster: the one ``RAY_ADDRESS`` names, else a local one with ``workers`` CPUs; at most ``workers`` tasks at once.

    A task whose worker dies is split into single runs; the one that dies alone is the culprit.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'nas-harness[ray]'") from None
    if not ray.is_initialized():
        mine = None if os.environ.get("RAY_ADDRESS") else workers
        ray.init(num_cpus=mine, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    remote = ray.remote(max_retries=0)(_run)
    queue = iter(tasks)
    again: list[Task] = []
    flying: dict[Any, Task] = {}
    try:
        while True:
            while len(flying) < workers and (task := again.pop() if again else next(queue, None)) is not None:
                gpus = 1 if task.row.device == "cuda" else 0
                flying[remote.options(num_gpus=gpus).remote(task)] = task
            if not flying:
                return
            ready, _ = ray.wait(list(flying), num_returns=1, timeout=TICK_S)
            if not ready:
                yield []
            for reference in ready:
                task = flying.pop(reference)
                try:
                    results = ray.get(reference)
                except ray.exceptions.RayError as error:
                    if isinstance(cause := getattr(error, "cause", None), UserError):
                        raise cause from None
                    if len(task.runs) > 1:
                        again += [replace(task, runs=(run,)) for run in task.runs]
                    else:
                        reason = str(error).splitlines()[0]
                        why = f"the worker died in this run, or was {GRACE_S:g} s past its wall limit: {reason}"
                        yield task.row, task.runs[0], crashed(task.runs[0], why)
                    continue
                for run, result in zip(task.runs, results, strict=True):
                    yield task.row, run, result
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)


def _run(task: Task) -> list[Result]:
    """Done on a worker; a run that cannot be interrupted takes the worker down."""
    results = []
    for run in task.runs:
        last_resort = threading.Timer(task.row.wall_limit_s + GRACE_S, os._exit, [1])
        last_resort.daemon = True
        last_resort.start()
        results.append(attempt(task, run))
        last_resort.cancel()
    return results
