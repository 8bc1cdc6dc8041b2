"""A node or an actor that dies is no fault of a method: its runs go on elsewhere, from their checkpoints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import ray_engine
from harness.errors import UserError
from harness.job import Job
from harness.outcome import Result
from harness.ray_engine import on_ray
from tests import ray_cluster
from tests.unit.test_engine import jobs, planned, results

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("made")]

SLOW = """
import os, time
from dataclasses import dataclass

@dataclass(frozen=True)
class Slow:
    '''Takes a second, and says which GPU it had, and when.'''
    reference = ""
    def search(self, view):
        began = time.time()
        time.sleep(1.0)
        view.log(gpu=float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1), began=began, ended=time.time())
        view.query(view.space.sample(view.rng))
"""

STEPS = """
import time
from dataclasses import dataclass

@dataclass(frozen=True)
class Steps:
    '''Ten steps with a checkpoint after each; says where it went on.'''
    reference = ""
    def search(self, view):
        done = int(view.resume() or b"0")
        first = done
        while done < 10:
            time.sleep(0.4)
            done += 1
            view.progress(done / 10)
            view.checkpoint(str(done).encode())
        view.log(first=float(first))
        view.query(view.space.sample(view.rng))
"""


@pytest.fixture(autouse=True)
def own_cluster() -> Iterator[None]:
    ray.shutdown()
    yield
    ray.shutdown()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a cluster whose first node has no room for runs."""
    with ray_cluster.cluster() as made:
        monkeypatch.setenv("RAY_ADDRESS", made.address)
        yield made


@pytest.fixture
def slow(tmp_path: Path) -> list[Job]:
    (tmp_path / "slow.py").write_text(SLOW)
    return jobs(planned(str(tmp_path / "slow.py"), seeds=8), 1)


def actors() -> list[int]:
    return [int(pid) for pid in subprocess.run(["pgrep", "-f", "ray::_Actor"], capture_output=True, text=True).stdout.split()]


@pytest.mark.parametrize("how_many", [1, 2])
def test_the_runs_of_actors_that_are_killed_are_done_by_others(slow: list[Job], how_many: int) -> None:
    collected: dict[str, Result] = {}
    for event in on_ray(slow, 2):
        if isinstance(event, list):
            continue
        _, run, result = event
        assert run.run_id not in collected
        collected[run.run_id] = result
        if len(collected) == 1:
            for pid in actors()[:how_many]:
                os.kill(pid, signal.SIGKILL)
    assert len(collected) == 8 and {result.status for result in collected.values()} == {"done"}


def test_a_run_goes_on_from_its_checkpoint_when_its_node_dies(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(STEPS)
    todo = [replace(job, checkpoints=tmp_path / "ckpt") for job in jobs(planned(str(tmp_path / "steps.py"), seeds=1), 1)]
    doomed = ray_cluster.add(nodes, num_cpus=1)
    collected: dict[str, Result] = {}
    for event in on_ray(todo, 1):
        if not isinstance(event, list):
            collected[event[1].run_id] = event[2]
        elif doomed is not None and any((tmp_path / "ckpt").glob("*.ckpt")):
            ray_cluster.lose(nodes, doomed)
            ray_cluster.add(nodes, num_cpus=1)
            doomed = None
    (result,) = collected.values()
    assert result.status == "done" and result.trace["log/first"][0] >= 1


def test_a_node_that_dies_costs_no_run(nodes: Any, slow: list[Job]) -> None:
    def found(by_run: dict[str, Result]) -> dict[str, tuple[object, ...]]:
        """Return what a run found; these runs also log the time."""
        return {run_id: (result.status, result.arch, result.scores, result.spent) for run_id, result in by_run.items()}

    ray_cluster.add(nodes, num_cpus=1)
    expected = found(results(on_ray, slow, 2))
    second = ray_cluster.add(nodes, num_cpus=1)
    collected: dict[str, Result] = {}
    for event in on_ray(slow, 2):
        if not isinstance(event, list):
            assert event[1].run_id not in collected
            collected[event[1].run_id] = event[2]
            if len(collected) == 2:
                ray_cluster.lose(nodes, second)
    assert found(collected) == expected


@pytest.mark.parametrize(("part", "together"), [(1.0, 1), (0.5, 2)])
def test_each_run_has_the_stated_part_of_a_gpu(part: float, together: int, nodes: Any, slow: list[Job]) -> None:
    ray_cluster.add(nodes, num_cpus=8, num_gpus=2)
    todo = [replace(job, row=replace(job.row, device="cuda")) for job in slow]
    by_run = results(partial(on_ray, gpus_per_run=part), todo, 8)
    assert len(by_run) == 8 and {result.status for result in by_run.values()} == {"done"}
    for gpu in (0.0, 1.0):
        runs = [result.trace for result in by_run.values() if result.trace["log/gpu"][0] == gpu]
        spans = [(float(run["log/began"][0]), float(run["log/ended"][0])) for run in runs]
        assert max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans) == together


def test_a_cluster_without_room_is_one_line(nodes: Any, slow: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "EMPTY_S", 2.0)
    todo = [replace(job, row=replace(job.row, device="cuda")) for job in slow]
    words = r"^no node of the Ray cluster has had room for a worker with 1 CPU and 0.5 GPU for 2 s; the same command goes on$"
    with pytest.raises(UserError, match=words):
        results(partial(on_ray, gpus_per_run=0.5), todo)


def test_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch, slow: list[Job]) -> None:
    def fails(**options: object) -> None:
        raise ConnectionError("no cluster at 127.0.0.1:1\nand a page of advice")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(UserError, match=r"^Ray does not start: no cluster at 127.0.0.1:1$"):
        results(on_ray, slow)


def test_ray_says_nothing_on_stdout_about_a_node_that_dies() -> None:
    message = {"lines": ["Raylet is terminated."], "pid": "raylet", "is_err": False}
    code = (
        "from harness.ray_engine import on_ray; list(on_ray([], 1)); from ray._private.worker import print_to_stdstream; "
        f"print_to_stdstream({message}, ignore_prefix=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
