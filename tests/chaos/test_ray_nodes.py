"""Nodes of a Ray cluster that die at random lose no run: made-up nodes with made-up GPUs on this machine.

Run by ``tox -e ray``, with ``-s`` to see times. ``CHAOS_RUNS``, ``CHAOS_NODES`` and ``CHAOS_KILLS`` set the size; a node has
two GPUs, and two runs share a GPU.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from harness.engine import local
from harness.outcome import Result
from harness.ray_engine import on_ray
from tests.unit.test_engine import essence, jobs, planned, results

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("made")]

RUNS = int(os.environ.get("CHAOS_RUNS", "5000"))
NODES = int(os.environ.get("CHAOS_NODES", "16"))
KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
SLOTS = 4
"""Runs at a time on a node."""
CHECKED = 200
"""Number of runs that are compared with the local engine."""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a cluster whose first node, that of the driver, has no room for runs."""
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_dying_nodes_lose_nothing(nodes: Any) -> None:
    todo = [replace(job, row=replace(job.row, device="cuda")) for job in jobs(planned("random_search", seeds=RUNS), 1)]
    chance = random.Random(SEED)
    crew = [nodes.add_node(wait=False, num_cpus=SLOTS, num_gpus=2) for _ in range(NODES)]
    collected: dict[str, Result] = {}
    killed = most = 0
    began, computed, paused = time.monotonic(), time.process_time(), 0.0
    for event in on_ray(todo, NODES * SLOTS, gpus_per_run=2 / SLOTS):
        if isinstance(event, list):
            most = max(most, len(event))
            continue
        assert event[1].run_id not in collected, "a run is done twice"
        collected[event[1].run_id] = event[2]
        if killed < KILLS and len(collected) >= RUNS * (killed + 1) / (KILLS + 1):
            start = time.monotonic()
            nodes.remove_node(crew.pop(chance.randrange(len(crew))), allow_graceful=False)
            crew.append(nodes.add_node(wait=False, num_cpus=SLOTS, num_gpus=2))
            killed += 1
            paused += time.monotonic() - start
    seconds, driver = time.monotonic() - began - paused, time.process_time() - computed
    print(
        f"\n{len(collected)} runs, {NODES * SLOTS} workers (at most {most} at a time), {killed} nodes killed: {seconds:.0f} s; "
        f"the driver computed {1000 * driver / RUNS:.2f} ms for each run"
    )
    assert killed == KILLS
    assert len(collected) == RUNS
    assert {result.status for result in collected.values()} == {"done"}
    expected = essence(results(local, todo[:CHECKED], 1))
    assert {run_id: result for run_id, result in essence(collected).items() if run_id in expected} == expected
