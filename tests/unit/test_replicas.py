"""Runs that share a GPU: as many as its memory allows."""

from __future__ import annotations

import dataclasses
import subprocess
from multiprocessing import Pipe
from threading import Timer
from typing import ClassVar

import pytest

from harness import engine
from harness.engine import Surroundings, Worker
from harness.job import Job, Share
from harness.outcome import Result
from harness.replicas import CONTEXT, MOST, Replicas, free_bytes, shared
from harness.spec import RowSpec

GIB = 2**30


def row(name: str, device: str = "cuda", trained_on: str = "images") -> RowSpec:
    return RowSpec("p", "b", name, name, "one-shot", {}, {}, {}, {}, "", "", "", 60.0, device, trained_on=trained_on)


def test_a_second_run_begins_as_soon_as_the_first_has_said_what_it_needs() -> None:
    room, small = Replicas([10 * GIB]), row("small")
    assert room.fits(small, 0)
    room.begin(small, 0)
    assert not room.fits(small, 1), "nobody knows what it needs"
    room.measure(small, 2 * GIB, finished=False)
    assert room.need(small) == CONTEXT + 4 * GIB
    assert room.fits(small, 1)
    room.begin(small, 1)
    assert not room.fits(small, 2)
    room.measure(small, 3 * GIB // 2, finished=True)
    assert room.need(small) == CONTEXT + int(1.1 * 2 * GIB), "the most counts"
    assert room.fits(small, 2)


def test_runs_of_other_gpus_and_runs_without_a_gpu_need_no_room() -> None:
    room, large = Replicas([10 * GIB, 40 * GIB]), row("large")
    room.measure(large, 8 * GIB, finished=True)
    room.begin(large, 0)
    assert not room.fits(large, 2) and room.fits(large, 1)
    room.begin(large, 1)
    assert room.fits(large, 3), "GPU 1 is larger"
    for free in (row("query", trained_on=""), row("processor", device="cpu")):
        assert room.fits(free, 2) and not room.need(free)
        room.begin(free, 2)
    assert room.fits(large, 1)
    room.end(0)
    assert room.fits(large, 4)
    assert Replicas([]).fits(large, 5)


def test_what_is_larger_than_a_gpu_runs_alone() -> None:
    room, huge = Replicas([GIB]), row("huge")
    room.measure(huge, 2 * GIB, finished=True)
    assert room.fits(huge, 0)


def test_a_run_without_memory_is_done_again_once_and_alone() -> None:
    room, small = Replicas([10 * GIB]), row("small")
    room.measure(small, GIB, finished=True)
    run = small.run(0)
    lost = Result(run.run_id, "failed", error="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB")
    assert not room.crowded(small, run, dataclasses.replace(lost, error="ValueError")) and room.need(small) < 2 * GIB
    assert room.crowded(small, run, lost) and not room.crowded(small, run, lost)
    room.begin(small, 0)
    assert not room.fits(small, 1)
    assert not Replicas([]).crowded(small, small.run(1), lost)


def test_free_memory_is_what_nvidia_smi_tells() -> None:
    asked: list[list[str]] = []

    def answer(command: list[str]) -> str:
        asked.append(command)
        return "143046\n"

    assert free_bytes(["3", "GPU-5ebe"], answer) == [143046 * 2**20] * 2
    assert asked[1][-1] == "--id=GPU-5ebe"
    assert free_bytes(["0"], lambda command: "[N/A]") == []

    def fails(command: list[str]) -> str:
        raise subprocess.CalledProcessError(9, command)

    assert free_bytes(["0"], fails) == []


def test_a_gpu_has_at_most_one_run_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.replicas.free_bytes", lambda names: [GIB] * len(names))
    assert shared(("0", "1"), 16) == ((GIB, GIB), 2 * MOST)
    assert shared(("0", "1"), 6)[1] == 6 and shared(("0", "1"), 1)[1] == 2


class Made(Worker):
    """A worker without a process. Each run reserves 2 GiB and takes a moment; the first run of all finds no memory left."""

    running = 0
    log: ClassVar[list[tuple[int, int]]] = []
    """(slot, number of runs under way) at the start of each run."""

    def __init__(self, job: Job, around: Surroundings, slot: int = 0, workers: int = 1) -> None:
        self.slot, self.alive = slot, True
        self.pipe, self._theirs = Pipe()
        self.give(job)

    def give(self, job: Job) -> None:
        super().give(job)
        Made.running += 1
        Made.log.append((self.slot, Made.running))
        error = "" if len(Made.log) > 1 else "CUDA out of memory"
        self._theirs.send(Share(0.1, 2 * GIB))
        result = Result(job.runs[0].run_id, "failed" if error else "done", error=error)
        Timer(0.3, self._finish, [result]).start()

    def _finish(self, result: Result) -> None:
        Made.running -= 1
        self._theirs.send([result])

    def end(self) -> None: ...


def test_the_engine_begins_runs_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Worker", Made)
    monkeypatch.setattr(Made, "log", [])
    small, other = row("small"), row("other")
    todo = [Job(spec, (spec.run(world),)) for spec, worlds in ((small, 2), (other, 5)) for world in range(worlds)]
    around = Surroundings(gpus=("3",), room=(10 * GIB,))
    finished = [event for event in engine.local(iter(todo), 4, around) if not isinstance(event, list)]
    assert len(finished) == 7 and all(result.status == "done" for _, _, result in finished)
    assert len(Made.log) == 8, "a run is done again"
    together = [count for _, count in Made.log]
    assert together[0] == 1 and max(together) == 3
