"""Run jobs on a Slurm cluster. Every Slurm job keeps workers that connect to the driver, so a run waits in no queue.

The driver runs where ``sbatch`` does and alone writes the store. The folder of the store must be visible on all nodes: it
contains the checkpoints, and the logs of the Slurm jobs.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import resource
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from harness.engine import LOSSES, Deaths, Finished, Surroundings, UnderWay, Worker
from harness.errors import UserError
from harness.job import TICK_S, Job, Jobs
from harness.packages import PROJECT
from harness.remote import Address, Door, serve

POLL_S = 10.0
"""Seconds between two looks into the queue."""
DEFAULTS = {"time": "240", "mem_cpu": "4G", "mem_cuda": "16G"}
"""Minutes of a Slurm job, and the memory of each worker. A Slurm job that ends is replaced, and its runs go on."""
COMMANDS = ("sbatch", "squeue", "scancel")
OWN = ("array", "job-name", "output", "error", "requeue", "nodes", "ntasks")
"""Options of ``sbatch`` that the engine needs for itself."""
LARGEST_ARRAY = 1000
"""Slurm admits 1,001 jobs in an array unless it is configured otherwise."""


def on_slurm(
    jobs: Iterable[Job],
    workers: int,
    surroundings: Surroundings | None = None,
    *,
    folder: Path,
    options: Mapping[str, str | bool] | None = None,
    gpus_per_run: float = 1.0,
) -> Iterator[Finished | UnderWay]:
    """Do the jobs with ``workers`` workers in one array of Slurm jobs.

    A Slurm job that dies is replaced. Its run goes to another worker, and counts as crashed after ``LOSSES`` deaths without
    progress.

    Args:
        folder: for logs, on a file system that all nodes share.
        options: see :func:`options_of`; they override the defaults.
        gpus_per_run: share of a GPU that each worker has, if the rows need a GPU.

    Raises:
        UserError: there is no Slurm here, it refuses the job, or its jobs end before they begin to work.
    """
    around = surroundings or Surroundings()
    queue = Jobs(jobs)
    first = queue.take()
    if first is None:
        return
    queue.back.append(first)
    on_gpu = first.row.device == "cuda"
    _allow_connections(workers)
    door = Door()
    cluster: _Cluster | None = None
    deaths = Deaths(LOSSES)
    crew: list[_Remote] = []
    said = time.monotonic()

    try:
        cluster = _Cluster(folder, door.address, around, options or {}, gpus_per_run if on_gpu else 0.0)
        while crew or queue.back or not queue.exhausted:
            cluster.fill(workers if not queue.exhausted else min(workers, len(crew) + len(queue.back)))
            ready = wait([door.fileno(), *(worker.pipe for worker in crew)], timeout=TICK_S)
            if time.monotonic() - said >= TICK_S:
                said = time.monotonic()
                yield [(worker.job.row.identity, worker.share) for worker in crew]
            if door.fileno() in ready and (arrived := door.admit()):
                number, pipe = arrived
                cluster.began(number)
                if (job := queue.take()) is not None:
                    crew.append(_Remote(job, pipe, f"Slurm job {cluster.ids[number]}"))
                else:
                    _Remote.send_away(pipe)
            for worker in [worker for worker in crew if worker.pipe in ready]:
                for run, result in worker.receive():
                    yield worker.job.row, run, result
                if not worker.alive:
                    crew.remove(worker)
                    lost, unfinished = deaths.settle(worker.job, worker.left, worker.share, worker.cause())
                    yield from lost
                    queue.back += unfinished
                elif not worker.left:
                    if (job := queue.take()) is not None:
                        worker.give(job)
                    else:
                        crew.remove(worker)
                        worker.dismiss()
    finally:
        door.close()
        for worker in crew:
            worker.pipe.close()  # ends the worker and its runs
        if cluster is not None:
            cluster.cancel()


def _allow_connections(workers: int) -> None:
    """Let this process have a connection to every worker, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = workers + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard))


def options_of(texts: Iterable[str]) -> dict[str, str | bool]:
    """Return options of ``sbatch`` by name, from ``partition=gpu`` or ``exclusive``, with or without dashes.

    Raises:
        UserError: it is no option, or one that the engine sets.
    """
    options: dict[str, str | bool] = {}
    for text in texts:
        name, equals, value = text.lstrip("-").partition("=")
        if not re.fullmatch(r"[a-z][a-z-]+", name) or (equals and not value) or "\n" in value:
            raise UserError(f"--slurm {text!r} is not of the form name=value, as in --slurm partition=gpu")
        if name in OWN:
            raise UserError(f"--slurm {text!r}: the engine sets {name} itself; --workers sets the number of workers")
        options[name] = value or True
    return options


class _Remote(Worker):
    """The driver's end of a worker in a Slurm job."""

    def __init__(self, job: Job, pipe: Connection[Any, Any], where: str) -> None:
        self.pipe, self.where, self.alive = pipe, where, True
        self.give(job)

    def cause(self) -> str:
        return f"the last one in {self.where}"

    def end(self) -> None:
        """Its Slurm job ends it."""

    @staticmethod
    def send_away(pipe: Connection[Any, Any]) -> None:
        """Dismiss a worker for which there is no job."""
        with pipe, contextlib.suppress(OSError):
            pipe.send(None)


class _Cluster:
    """The Slurm jobs of this driver: submits, watches and cancels them."""

    def __init__(
        self, folder: Path, address: Address, around: Surroundings, options: Mapping[str, str | bool], gpus_per_run: float
    ) -> None:
        try:
            import submitit
        except ImportError:
            raise UserError("--engine slurm needs submitit: pip install 'nas-harness[slurm]'") from None
        if missing := [name for name in COMMANDS if shutil.which(name) is None]:
            raise UserError(f"--engine slurm starts where Slurm's commands are; {', '.join(missing)} is not on the PATH here")
        self._address = address
        # the environment of a node is its own; the rest of this one may hold secrets and is not written to a file
        settings = {name: value for name, value in around.environment.items() if name.startswith("NAS_")}
        self._around = replace(around, environment=settings)
        self._each = math.floor(1 / gpus_per_run + 1e-9) if gpus_per_run else 1
        self._name = f"nas-harness-{os.getpid()}-{time.time_ns() % 10**6}"
        self._folder = folder / self._name
        self._folder.mkdir(parents=True, mode=0o700)
        self._executor = submitit.SlurmExecutor(self._folder)
        standard: dict[str, str | int] = {
            "time": DEFAULTS["time"],
            "cpus-per-task": around.threads * self._each,
            "mem": _times(DEFAULTS["mem_cuda" if gpus_per_run else "mem_cpu"], self._each),
            "no-requeue": True,
        }
        if gpus_per_run:
            standard["gres"] = "gpu:1"
        path = os.pathsep.join(filter(None, [str(PROJECT), around.environment.get("PYTHONPATH", "")]))
        self._executor.update_parameters(
            job_name=self._name,
            use_srun=False,  # one process for each job; without a step, Slurm sends no early signal to the runs
            array_parallelism=LARGEST_ARRAY,
            setup=[f"export PYTHONPATH={shlex.quote(path)}"],
            additional_parameters={**standard, **options},
        )
        self.ids: dict[int, str] = {}
        """Slurm's names of the jobs, by number."""
        self._waiting: set[int] = set()
        self._begun: set[int] = set()
        self._stillborn = 0
        self._looked = -math.inf

    def fill(self, workers: int) -> None:
        """Submit Slurm jobs until there are enough for ``workers``. Look at most every ``POLL_S``."""
        if time.monotonic() - self._looked < POLL_S:
            return
        self._looked = time.monotonic()
        if self._waiting or self._begun:
            self._forget_ended(math.ceil(workers / self._each))
        lacking = math.ceil(workers / self._each) - len(self._waiting) - len(self._begun)
        while lacking > 0:
            self._submit(min(lacking, LARGEST_ARRAY))
            lacking -= LARGEST_ARRAY

    def began(self, number: int) -> None:
        """Note that a worker of a Slurm job has connected."""
        self._waiting.discard(number)
        self._begun.add(number)

    def _submit(self, count: int) -> None:
        numbers = range(len(self.ids), len(self.ids) + count)
        calls = [(self._address, number, self._each, self._around) for number in numbers]
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                submitted = self._executor.map_array(serve, *zip(*calls, strict=True))
        except Exception as error:
            said = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines()]
            raise UserError(f"Slurm refuses the job: {'; '.join(said) or type(error).__name__}") from None
        self.ids.update({number: job.job_id for number, job in zip(numbers, submitted, strict=True)})
        self._waiting.update(numbers)

    def _forget_ended(self, wanted: int) -> None:
        listed = _run("squeue", "--noheader", "--array", f"--name={self._name}", "--format=%i")
        if listed is None:
            return  # the controller is busy or restarts: look again later
        there = set(listed.split())
        self._begun = {number for number in self._begun if self.ids[number] in there}
        for number in [number for number in self._waiting if self.ids[number] not in there]:
            self._waiting.discard(number)
            self._stillborn += 1
            if self._stillborn > max(wanted, 1):
                raise UserError(f"Slurm job {self.ids[number]} ended before it began to work: {self._why(number)}")

    def _why(self, number: int) -> str:
        """Return the last line that a Slurm job wrote to its log, and where the log is."""
        for log in (self._folder / f"{self.ids[number]}_0_log.err", self._folder / f"{self.ids[number]}_0_log.out"):
            with contextlib.suppress(OSError):
                if lines := log.read_text(errors="replace").strip().splitlines():
                    return f"{lines[-1].strip()} ({log})"
        return f"it left no log in {self._folder}, which must be visible on all nodes"

    def cancel(self) -> None:
        """Cancel all Slurm jobs that are left. Remove their logs unless some ended early."""
        arrays = sorted({job.partition("_")[0] for job in self.ids.values()})
        if arrays:
            _run("scancel", "--quiet", *arrays)
        if not self._stillborn:
            shutil.rmtree(self._folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._folder.parent.rmdir()


def _run(*command: str) -> str | None:
    """Return what a command of Slurm prints; None if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _times(memory: str, workers: int) -> str:
    return f"{int(memory[:-1]) * workers}{memory[-1]}"
