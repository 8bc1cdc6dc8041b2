"""Nodes of a Ray cluster that die at random lose no run: made-up nodes with made-up GPUs on this machine.

Run by ``tox -e ray``, with ``-s`` to see times and memory. ``CHAOS_RUNS``, ``CHAOS_NODES`` and ``CHAOS_KILLS`` set the size; a
node has two GPUs, and two runs share a GPU.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.engine import local
from harness.outcome import Result
from harness.ray_engine import on_ray
from tests import ray_cluster
from tests.chaos.test_kills import family
from tests.unit.test_engine import essence, jobs, planned, results

pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("made")]

RUNS = int(os.environ.get("CHAOS_RUNS", "5000"))
NODES = int(os.environ.get("CHAOS_NODES", "16"))
KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
SLOTS = 4
"""Runs at a time on a node."""
CHECKED = 200
"""Number of runs that are compared with the local engine."""

SHORT = """
import os, time
from dataclasses import dataclass

@dataclass(frozen=True)
class Short:
    '''A checkpoint after the first half; each start leaves a letter in a file, r if it goes on from the checkpoint.'''
    reference = ""
    def search(self, view):
        half = view.resume()
        file = os.open("{starts}", os.O_WRONLY | os.O_APPEND)
        os.write(file, b"r" if half else b".")
        if not half:
            time.sleep(0.05)
            view.checkpoint(b"half")
        time.sleep(0.05)
        view.query(view.space.sample(view.rng))
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a cluster whose first node, that of the driver, has no room for runs."""
    with ray_cluster.cluster() as made:
        monkeypatch.setenv("RAY_ADDRESS", made.address)
        yield made


def test_dying_nodes_lose_nothing(nodes: Any, tmp_path: Path) -> None:
    starts, method = tmp_path / "starts", tmp_path / "short.py"
    starts.touch()
    method.write_text(SHORT.format(starts=starts))
    short = jobs(planned(str(method), seeds=RUNS), 1)
    todo = [replace(job, row=replace(job.row, device="cuda"), checkpoints=tmp_path / "checkpoints") for job in short]
    chance = random.Random(SEED)
    crew = [ray_cluster.add(nodes, num_cpus=SLOTS, num_gpus=2) for _ in range(NODES)]
    collected: dict[str, Result] = {}
    killed = most = due = 0
    memory = ""
    began, computed = time.monotonic(), time.process_time()
    for event in on_ray(todo, NODES * SLOTS, gpus_per_run=2 / SLOTS):
        if isinstance(event, list):
            most = max(most, len(event))
            continue
        assert event[1].run_id not in collected, "a run is done twice"
        collected[event[1].run_id] = event[2]
        paused, idle = time.monotonic(), time.process_time()
        if len(collected) == RUNS // 2:
            memory = megabytes()
        if most == NODES * SLOTS and killed < KILLS and len(collected) >= due:
            ray_cluster.lose(nodes, crew.pop(chance.randrange(len(crew))))
            crew.append(ray_cluster.add(nodes, num_cpus=SLOTS, num_gpus=2))
            killed += 1
            due = len(collected) + (RUNS - len(collected)) // (KILLS - killed + 1)
        began, computed = began + time.monotonic() - paused, computed + time.process_time() - idle
    seconds, driver = time.monotonic() - began, time.process_time() - computed
    begun, resumed = starts.stat().st_size, starts.read_bytes().count(b"r")
    print(
        f"\n{len(collected)} runs, {most} of {NODES * SLOTS} workers at a time, {killed} nodes killed: {seconds:.0f} s; "
        f"{begun - RUNS} runs begun again, {resumed} of them from their checkpoints; "
        f"the driver computed {1000 * driver / RUNS:.2f} ms for each run; {memory}"
    )
    assert killed == KILLS
    assert len(collected) == RUNS
    assert {result.status for result in collected.values()} == {"done"}
    assert 0 < begun - RUNS <= KILLS * SLOTS, "a node that dies costs the runs that it did, and no other"
    assert resumed <= begun - RUNS
    expected = essence(results(local, [replace(job, checkpoints=None) for job in todo[:CHECKED]], 1))
    assert {run_id: result for run_id, result in essence(collected).items() if run_id in expected} == expected


def megabytes() -> str:
    """Return how much memory this cluster takes; pages that processes share are divided among them."""
    sizes: dict[str, list[float]] = {"ray::_Actor": [], "harness.worker": [], "raylet/raylet": [], "Agent": []}
    for pid in family(os.getpid())[1:]:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            used = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
            if (kind := next((name for name in sizes if name in command), "")) and used:
                sizes[kind].append(int(used[1]) / 1000)
    actors, nodes = (max(len(sizes[kind]), 1) for kind in ("ray::_Actor", "raylet/raylet"))
    actor, worker, raylet, agents = (sum(values) for values in sizes.values())
    return (
        f"{actors} actors of {actor / actors:.0f} MB, with {worker / actors:.0f} MB for the worker of each; "
        f"{(raylet + agents) / nodes:.0f} MB for Ray itself on each of {nodes} nodes"
    )
