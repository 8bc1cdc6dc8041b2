"""Run jobs on this machine's cores. ``ray_engine`` and ``slurm_engine`` do the same on clusters.

An engine takes an iterator of jobs and pulls a job only when a worker is free. It yields each finished run; when no run has
finished for a while, it yields the progress of the running ones, so that the driver can write and show it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait

from harness.errors import UserError
from harness.job import TICK_S, Job, Jobs, Share
from harness.outcome import Result
from harness.replicas import Replicas
from harness.spec import RowSpec, RunSpec
from harness.worker import Message

__all__ = ["Deaths", "Engine", "Finished", "Job", "Surroundings", "UnderWay", "Worker", "local", "start"]

Finished = tuple[RowSpec, RunSpec, Result]
UnderWay = list[tuple[str, float]]
"""For each run under way: the row's identity, and the share that is done, 0 if its method does not report it."""
Engine = Callable[[Iterable[Job], int], Iterator[Finished | UnderWay]]

DEATHS = 2
"""After this many deaths of its worker a run counts as crashed."""
LOSSES = 5
"""The same number for workers on other machines, which also die with their node, their time limit or a preemption."""
LEAVE_S = 5.0
"""Seconds that a worker may take to end its runs and exit."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Surroundings:
    """Environment and folder of a worker. They stay as they were when the command started."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: str = field(default_factory=os.getcwd)
    threads: int = 1
    """Threads of each run. With another number, sums are added in another order and the last bits of a training differ."""
    gpus: tuple[str, ...] = ()
    """Names of the GPUs that the workers share; empty: the environment decides what a worker sees."""
    room: tuple[int, ...] = ()
    """Free bytes of each GPU. Then a worker begins a run only if its GPU has room for it; empty: always."""

    def variables(self, slot: int = 0, workers: int = 1) -> dict[str, str]:
        """Return the environment of a worker: the requested threads, and the same order of sets in every process.

        With GPUs, each worker sees one of them. Its share of the cores, for decoding images, follows from ``workers``.

        Args:
            slot: number of the worker, from 0; a worker that replaces another one has its number.
            workers: number of workers.
        """
        own = {**self.environment, **dict.fromkeys(THREADS, str(self.threads)), "PYTHONHASHSEED": "0"}
        if self.gpus:
            own |= {"CUDA_VISIBLE_DEVICES": self.gpus[slot % len(self.gpus)], "LOCAL_WORLD_SIZE": str(workers)}
        return own

    def on_this_node(self) -> Surroundings:
        """Return the surroundings of a worker on this machine, with those of a driver on another one.

        The environment of this node names the GPUs of this process, and overrides the settings of the harness.
        """
        settings = {name: value for name, value in self.environment.items() if name.startswith("NAS_")}
        return replace(self, environment={**settings, **os.environ})


class Deaths:
    """Deaths of workers, counted for the run that the worker did. After ``allowed`` deaths the run counts as crashed.

    A run that went on from its checkpoint, and got further than at the death before, counts from one again.
    """

    def __init__(self, allowed: int = DEATHS) -> None:
        self._allowed = allowed
        self._count: Counter[str] = Counter()
        self._furthest: dict[str, float] = {}

    def settle(self, job: Job, left: list[RunSpec], share: float, cause: str) -> tuple[list[Finished], list[Job]]:
        """Return the run of a dead worker if it counts as crashed, and the job with its remaining runs.

        Args:
            left: the runs of the job without a result. The worker did the first of them.
            share: the share of this run that was done.
            cause: why the worker died.
        """
        if not left:
            return [], []
        lost: list[Finished] = []
        run, rest = left[0], left[1:]
        if share > self._furthest.get(run.run_id, 0.0):
            self._furthest[run.run_id] = share
            self._count[run.run_id] = 0
        self._count[run.run_id] += 1
        if self._count[run.run_id] >= self._allowed:
            why = f"its worker died {self._allowed} times ({cause})"
            lost.append((job.row, run, Result(run.run_id, "crashed", error=why)))
            left = rest
        return lost, [replace(job, runs=tuple(left))] if left else []


def local(jobs: Iterable[Job], workers: int, surroundings: Surroundings | None = None) -> Iterator[Finished | UnderWay]:
    """Do the jobs in ``workers`` processes of this machine; see :mod:`harness.worker` for how runs are kept apart."""
    around = surroundings or Surroundings()
    queue = Jobs(jobs)
    deaths = Deaths()
    crew: list[Worker] = []
    replicas = Replicas(around.room)
    said = time.monotonic()

    def hire() -> None:
        """Start workers while there are jobs that fit on a GPU."""
        while (idle := sorted(set(range(workers)) - {worker.slot for worker in crew})) and (job := queue.take()) is not None:
            slot = next((slot for slot in idle if replicas.fits(job.row, slot)), None)
            if slot is None:
                queue.back.append(job)
                return
            replicas.begin(job.row, slot)
            crew.append(Worker(job, around, slot, workers))

    try:
        hire()
        while crew:
            ready = wait([worker.pipe for worker in crew], timeout=TICK_S)
            if time.monotonic() - said >= TICK_S:
                said = time.monotonic()
                yield [(worker.job.row.identity, worker.share) for worker in crew]
            for worker in list(crew):
                if worker.pipe in ready or not worker.alive:
                    arrived = worker.receive()
                    replicas.measure(worker.job.row, worker.reserved, finished=bool(arrived))
                    for run, result in arrived:
                        if replicas.crowded(worker.job.row, run, result):
                            queue.back.append(replace(worker.job, runs=(run,)))
                        else:
                            yield worker.job.row, run, result
                    if not worker.alive:
                        crew.remove(worker)
                        replicas.end(worker.slot)
                        lost, unfinished = deaths.settle(worker.job, worker.left, worker.share, worker.cause())
                        yield from lost
                        queue.back += unfinished
                    elif not worker.left:
                        again = queue.take()
                        if again is not None and replicas.fits(again.row, worker.slot):
                            replicas.begin(again.row, worker.slot)
                            worker.give(again)
                        else:
                            queue.back += [again] if again is not None else []
                            crew.remove(worker)
                            replicas.end(worker.slot)
                            worker.dismiss()
            hire()
    finally:
        for worker in crew:
            worker.pipe.close()  # ends the worker and its runs
        for worker in crew:
            worker.end()


def start(descriptor: int, environment: Mapping[str, str], folder: str) -> subprocess.Popen[bytes]:
    """Start a worker process in ``folder``. ``descriptor`` is its end of a socket to the driver."""
    body = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import harness.worker as w; w.main(int(sys.argv[2]))"
    return subprocess.Popen(
        [sys.executable, "-c", body, json.dumps(sys.path), str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        process_group=0,  # Ctrl-C at the terminal goes to the driver alone
    )


class Worker:
    """The driver's end of a worker: its process and its pipe.

    Args:
        slot: number of the worker among all ``workers``; see :meth:`Surroundings.variables`.
    """

    def __init__(self, job: Job, around: Surroundings, slot: int = 0, workers: int = 1) -> None:
        self.slot = slot
        ours, theirs = socket.socketpair()
        self.process = start(theirs.fileno(), around.variables(slot, workers), around.folder)
        theirs.close()
        self.pipe: Connection[Job | None, Message] = Connection(ours.detach())
        self.alive = True
        self.give(job)

    def give(self, job: Job) -> None:
        self.job, self.left, self.share, self.reserved = job, list(job.runs), 0.0, 0
        with contextlib.suppress(OSError):  # a worker that died just now is noticed when it is read
            self.pipe.send(job)

    def receive(self) -> list[tuple[RunSpec, Result]]:
        """Return the results that have arrived. Set ``alive`` to False if the worker is gone and all its messages are read."""
        arrived: list[tuple[RunSpec, Result]] = []
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, UserError):
                    raise message
                if isinstance(message, Share):
                    self.share, self.reserved = message.share, max(self.reserved, message.reserved)
                    continue
                self.share = 0.0
                arrived += [(self.left.pop(0), result) for result in message]
        except (EOFError, OSError):
            self.alive = False
            self.pipe.close()
            self.end()  # its pipe is closed, and the process may still be there
        return arrived

    def cause(self) -> str:
        """Return why the process of a dead worker ended."""
        code = self.process.returncode
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def dismiss(self) -> None:
        """Send an idle worker away, and wait until it has exited."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.pipe.close()
        self.end()

    def end(self) -> None:
        """Wait until the worker has exited; kill it after ``LEAVE_S``."""
        try:
            self.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
