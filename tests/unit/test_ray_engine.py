"""A node or an actor that dies is no fault of a method: its runs go on elsewhere, from their checkpoints."""

from __future__ import annotations

import os
import signal
import subprocess
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
from tests.unit.test_engine import essence, jobs, planned, results

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("made")]

SLOW = """
import os, time
from dataclasses import dataclass

@dataclass(frozen=True)
class Slow:
    '''Takes a second, and says which GPU it has.'''
    reference = ""
    def search(self, view):
        view.log(gpu=float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1))
        time.sleep(1.0)
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
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


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
    doomed = nodes.add_node(num_cpus=1)
    collected: dict[str, Result] = {}
    for event in on_ray(todo, 1):
        if not isinstance(event, list):
            collected[event[1].run_id] = event[2]
        elif doomed is not None and any((tmp_path / "ckpt").glob("*.ckpt")):
            nodes.remove_node(doomed, allow_graceful=False)
            nodes.add_node(num_cpus=1)
            doomed = None
    (result,) = collected.values()
    assert result.status == "done" and result.trace["log/first"][0] >= 1


def test_a_node_that_dies_costs_no_run(nodes: Any, slow: list[Job]) -> None:
    expected = essence(results(on_ray, slow, 2)) if nodes.add_node(num_cpus=1) else {}
    second = nodes.add_node(num_cpus=1)
    collected: dict[str, Result] = {}
    for event in on_ray(slow, 2):
        if not isinstance(event, list):
            assert event[1].run_id not in collected
            collected[event[1].run_id] = event[2]
            if len(collected) == 2:
                nodes.remove_node(second, allow_graceful=False)
    assert essence(collected) == expected


def test_runs_share_gpus_by_the_stated_part(nodes: Any, slow: list[Job]) -> None:
    nodes.add_node(num_cpus=8, num_gpus=2)
    todo = [replace(job, row=replace(job.row, device="cuda")) for job in slow]
    collected: dict[str, Result] = {}
    most = 0
    for event in on_ray(todo, 8, gpus_per_run=0.5):
        if isinstance(event, list):
            most = max(most, len(event))
        else:
            collected[event[1].run_id] = event[2]
    assert most == 4, "two runs on each of two GPUs"
    assert {result.status for result in collected.values()} == {"done"}
    assert {result.trace["log/gpu"][0] for result in collected.values()} == {0.0, 1.0}


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
