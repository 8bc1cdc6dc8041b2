"""What an engine adds to a run: short searches, a job for each, on one worker. Nothing here asserts a time.

``tox -e bench`` leaves out the engines whose packages it does not have. An environment with Ray, submitit, and Debian's
slurm-wlm and munge has all of them: ``python -m pytest tests/bench/test_engines_speed.py -m bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import slurm_engine
from harness.engine import Engine, Finished, UnderWay, local
from harness.slurm_engine import on_slurm
from tests import slurm_cluster
from tests.unit.test_engine import jobs, planned

pytestmark = [pytest.mark.bench, pytest.mark.usefixtures("made")]

RUNS = 100
"""Runs of a round."""
ROUNDS = 3
FIRST = 20
"""Runs before the first round. Their worker starts, and opens the table."""


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Yield the engine of this name, with its cluster on this machine."""
    if request.param == "local":
        yield local
    elif request.param == "ray":
        ray = pytest.importorskip("ray")
        from harness.ray_engine import on_ray

        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        ray.shutdown()
        yield on_ray
        ray.shutdown()
    else:
        pytest.importorskip("submitit")
        if missing := slurm_cluster.missing():
            pytest.skip(f"no {', '.join(missing)}")
        (tmp_path / "cluster").mkdir()
        with ExitStack() as running:
            environment = running.enter_context(slurm_cluster.cluster(tmp_path / "cluster"))
            for name in ("PATH", "SLURM_CONF"):
                monkeypatch.setenv(name, environment[name])
            monkeypatch.setattr(slurm_engine, "POLL_S", 1.0)
            yield partial(on_slurm, folder=tmp_path / "slurm", options={"mem": "1G"})


def take(events: Iterator[Finished | UnderWay], count: int) -> None:
    """Wait for the results of this number of runs."""
    while count:
        count -= not isinstance(next(events), list)


@pytest.mark.parametrize("engine", ["local", "slurm", "ray"], indirect=True)
@pytest.mark.benchmark(group=f"{RUNS} searches, a job for each, on one worker")
def test_cost_of_a_run(benchmark: Any, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    events = engine(jobs(planned("random_search", seeds=FIRST + ROUNDS * RUNS), 1), 1)
    take(events, FIRST)
    computed = time.process_time()
    benchmark.pedantic(take, args=(events, RUNS), rounds=ROUNDS)
    computed = time.process_time() - computed
    for _ in events:
        pass  # the worker leaves
    with capsys.disabled():
        waited = 1000 * statistics.median(benchmark.stats.stats.data) / RUNS
        print(f"\n{waited:.2f} ms a run, of which the driver computes {1000 * computed / (ROUNDS * RUNS):.2f} ms")
