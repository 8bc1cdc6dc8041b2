"""A node or an actor that dies is no fault of a method: its runs go elsewhere, or stay undone and the command says so."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.job import Job
from harness.outcome import Result
from harness.ray_engine import on_ray
from tests.unit.test_engine import essence, jobs, planned, results

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("made")]

SLOW = """
import time
from dataclasses import dataclass

@dataclass(frozen=True)
class Slow:
    '''Takes a second.'''
    reference = ""
    def search(self, view):
        time.sleep(1.0)
        view.query(view.space.sample(view.rng))
"""


@pytest.fixture(autouse=True)
def own_cluster() -> Iterator[None]:
    ray.shutdown()
    yield
    ray.shutdown()


@pytest.fixture
def slow(tmp_path: Path) -> list[Job]:
    (tmp_path / "slow.py").write_text(SLOW)
    return jobs(planned(str(tmp_path / "slow.py"), seeds=8), 1)


def actors() -> list[int]:
    return [int(pid) for pid in subprocess.run(["pgrep", "-f", "ray::_Actor"], capture_output=True, text=True).stdout.split()]


def killing(todo: list[Job], how_many: int, workers: int = 2) -> dict[str, Result]:
    """The results of a sweep in which actors are killed once the first run is finished."""
    collected: dict[str, Result] = {}
    for said in on_ray(todo, workers):
        if isinstance(said, list):
            continue
        _, run, result = said
        assert run.run_id not in collected
        collected[run.run_id] = result
        if len(collected) == 1:
            for pid in actors()[:how_many]:
                os.kill(pid, signal.SIGKILL)
    return collected


def test_the_runs_of_an_actor_that_is_killed_are_done_by_another(slow: list[Job]) -> None:
    collected = killing(slow, 1)
    assert len(collected) == 8 and {result.status for result in collected.values()} == {"done"}


def test_runs_stay_undone_where_no_actor_is_left(slow: list[Job]) -> None:
    with pytest.raises(UserError, match=r"^\d runs stay undone, Ray actors died \(.*\); the same command goes on$"):
        killing(slow, 2)


def test_a_node_that_dies_costs_no_run(slow: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    expected = essence(results(on_ray, slow, 2))
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        collected: dict[str, Result] = {}
        for said in on_ray(slow, 2):
            if not isinstance(said, list):
                collected[said[1].run_id] = said[2]
                if len(collected) == 2:
                    cluster.remove_node(second, allow_graceful=False)
        assert essence(collected) == expected
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch, slow: list[Job]) -> None:
    def fails(**options: object) -> None:
        raise ConnectionError("no cluster at 127.0.0.1:1\nand a page of advice")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(UserError, match=r"^Ray does not start: no cluster at 127.0.0.1:1$"):
        results(on_ray, slow)
