"""The sweep on a Slurm of one node is that of the local engine; jobs of Slurm that die cost no run, and none is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness import slurm_engine
from harness.engine import local
from harness.errors import UserError
from harness.job import Job
from harness.outcome import Result
from harness.slurm_engine import on_slurm, options_of
from harness.store import Store
from tests import slurm_cluster
from tests.unit.test_engine import essence, jobs, planned, results

pytest.importorskip("submitit")

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("made", "slurm")]

WAIT_S = 60.0

SLOW = """
import os, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Slow:
    '''Takes two seconds, and says which GPU it has.'''
    reference = ""
    def search(self, view):
        name = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
        view.log(gpu=-1.0 if name == "none" else float(name))
        time.sleep(2.0)
        view.query(view.space.sample(view.rng))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if missing := slurm_cluster.missing():
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    with ExitStack() as running:
        try:
            environment = running.enter_context(slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")))
        except RuntimeError as error:
            pytest.skip(str(error).splitlines()[0])
        yield environment


@pytest.fixture
def slurm(cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster[name])
    monkeypatch.setattr(slurm_engine, "POLL_S", 1.0)
    return cluster


@pytest.fixture
def slow(tmp_path: Path) -> list[Job]:
    (tmp_path / "slow.py").write_text(SLOW)
    return jobs(planned(str(tmp_path / "slow.py"), seeds=6), 2)


def until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_sweep_is_that_of_the_local_engine(tmp_path: Path, slurm: dict[str, str]) -> None:
    todo = jobs(planned("random_search", "reinforce", "bohb:nb201_2020", seeds=5))

    engine = partial(on_slurm, folder=tmp_path / "slurm", options={"mem": "1G"})
    by_run = results(engine, todo, 3)
    assert len(by_run) == 25 and {result.status for result in by_run.values()} == {"done"}
    assert essence(by_run) == essence(results(local, todo))
    until(lambda: not slurm_cluster.listed(slurm))
    assert not (tmp_path / "slurm").exists(), "a sweep without trouble leaves no logs"


def test_a_job_of_slurm_that_is_cancelled_costs_no_run(slow: list[Job], tmp_path: Path, slurm: dict[str, str]) -> None:
    collected: dict[str, Result] = {}
    cancelled: list[str] = []
    for event in on_slurm(slow, 2, folder=tmp_path / "slurm", options={"mem": "1G"}):
        if isinstance(event, list):
            if len(event) == 2 and not cancelled:  # both workers are busy
                cancelled = slurm_cluster.listed(slurm)
                subprocess.run(["scancel", cancelled[0]], env=slurm, check=True)
            continue
        assert event[1].run_id not in collected
        collected[event[1].run_id] = event[2]
    assert len(cancelled) == 2
    assert len(collected) == 6 and {result.status for result in collected.values()} == {"done"}


def test_workers_leave_when_the_driver_stops_listening(slow: list[Job], tmp_path: Path, slurm: dict[str, str]) -> None:
    running = on_slurm(slow, 2, folder=tmp_path / "slurm", options={"mem": "1G"})
    assert isinstance(running, Generator)
    while not next(running):
        pass
    assert len(slurm_cluster.listed(slurm)) == 2
    running.close()
    until(lambda: not slurm_cluster.listed(slurm))


def test_two_runs_share_a_gpu(slow: list[Job], tmp_path: Path) -> None:
    on_gpu = [replace(job, row=replace(job.row, device="cuda")) for job in slow]
    options = {"mem": "1G", "gres": "gpu:1"}
    collected: dict[str, Result] = {}
    most = 0
    for event in on_slurm(on_gpu, 2, folder=tmp_path / "slurm", options=options, gpus_per_run=0.5):
        if isinstance(event, list):
            most = max(most, len(event))
        else:
            collected[event[1].run_id] = event[2]
    assert {(result.status, result.trace["log/gpu"][0]) for result in collected.values()} == {("done", 0.0)}
    assert most == 2, "both workers are in one job of Slurm, which has one GPU"


def test_a_partition_that_does_not_exist_is_one_line(slow: list[Job], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Slurm refuses the job: .*invalid partition specified: none[^\n]*$"):
        results(partial(on_slurm, folder=tmp_path, options=options_of(["partition=none"])), slow)


def test_jobs_of_slurm_that_cannot_begin_are_one_line(slow: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(UserError, match=r"^Slurm job \d+ ended before it began to work: .*/no/python.* \(.*_log\.err\)$"):
        results(partial(on_slurm, folder=tmp_path, options={"mem": "1G"}), slow, 1)


def test_an_interrupted_command_cancels_its_jobs_and_the_same_command_goes_on(tmp_path: Path, slurm: dict[str, str]) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    words = ["--protocol", "smoke", "--methods", "./slow.py", "--seeds", "6", "--workers", "2", "--engine", "slurm"]
    command = [sys.executable, "-m", "harness.run", *words, "--slurm", "mem=1G", "--out", "out"]
    environment = {**slurm, "PYTHONPATH": os.pathsep.join(sys.path), **{n: os.environ[n] for n in ("NAS_DATA", "NAS_CACHE")}}
    driver = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, process_group=0)
    until(lambda: done(tmp_path / "out") or driver.poll() is not None)
    assert len(slurm_cluster.listed(slurm)) == 2
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=WAIT_S)
    assert driver.returncode == 130, said
    until(lambda: not slurm_cluster.listed(slurm))
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert done(tmp_path / "out") == 6


def done(folder: Path) -> int:
    with Store(folder, write=False) as store:
        return list(store.statuses().values()).count("done") if store.path.exists() else 0


def test_without_slurm_the_command_says_so(slow: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name != "srun" else name)
    with pytest.raises(UserError, match=r"^--engine slurm starts where Slurm's commands are; sbatch, squeue, scancel is not"):
        results(partial(on_slurm, folder=tmp_path), slow)
