"""Workers on other machines: who is let in, what their deaths cost, and what a wrong option of the command says."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

from harness import remote
from harness.engine import LOSSES, Deaths, Job, Surroundings
from harness.errors import UserError
from harness.outcome import Result
from harness.remote import Door, serve
from harness.slurm_engine import options_of
from harness.spec import RunSpec
from tests.unit.test_engine import jobs, planned

RUNS = tuple(RunSpec(name, 0, 0, 0) for name in "abc")


@pytest.fixture
def job(made: Path) -> Job:
    (job,) = jobs(planned("random_search", seeds=3))
    return job


def admitted(door: Door, seconds: float = 20.0) -> tuple[int, Connection[Any, Any]]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if wait([door.fileno()], timeout=0.2) and (arrived := door.admit()):
            return arrived
    raise AssertionError("nobody came")


def test_a_worker_that_knows_the_key_does_jobs_and_leaves_when_it_is_dismissed(job: Job) -> None:
    door = Door()
    serving = threading.Thread(target=serve, args=(door.address, 7, 1, Surroundings()))
    serving.start()
    number, pipe = admitted(door)
    assert number == 7
    pipe.send(job)
    results: list[Result] = []
    while len(results) < 3:
        results += pipe.recv()
    assert [(result.run_id, result.status) for result in results] == [(run.run_id, "done") for run in job.runs]
    pipe.send(None)
    serving.join(20)
    assert not serving.is_alive()


def test_a_worker_whose_driver_is_gone_leaves(job: Job) -> None:
    door = Door()
    serving = threading.Thread(target=serve, args=(door.address, 0, 1, Surroundings()))
    serving.start()
    _, pipe = admitted(door)
    door.close()
    pipe.close()
    serving.join(20)
    assert not serving.is_alive()


def test_strangers_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "HANDSHAKE_S", 1)
    door = Door()
    silent = socket.create_connection(("127.0.0.1", door.address.port))
    assert wait([door.fileno()], timeout=5) and door.admit() is None, "it says nothing"
    wrong = dataclasses.replace(door.address, key=b"another key")
    guessing = threading.Thread(target=serve, args=(wrong, 0, 1, Surroundings()))
    guessing.start()
    while guessing.is_alive():
        assert not wait([door.fileno()], timeout=0.2) or door.admit() is None, "it does not know the key"
    silent.close()
    assert "key" not in repr(door.address)


def test_a_run_counts_as_crashed_after_as_many_deaths_as_its_engine_allows(job: Job) -> None:
    deaths = Deaths(LOSSES)
    for _ in range(LOSSES - 1):
        lost, again = deaths.settle(job, list(RUNS), 0.0, "why")
        assert lost == [] and again[0].runs == RUNS
    lost, again = deaths.settle(job, list(RUNS), 0.0, "why")
    assert [(run.run_id, result.status, result.error) for _, run, result in lost] == [
        ("a", "crashed", f"its worker died {LOSSES} times (why)")
    ]
    assert again[0].runs == RUNS[1:]
    assert deaths.settle(job, [], 0.0, "why") == ([], [])


def test_a_run_that_gets_further_each_time_is_never_given_up(job: Job) -> None:
    deaths = Deaths(2)
    for step in range(1, 10):
        assert deaths.settle(job, list(RUNS), step / 10, "the time limit")[0] == []
    assert deaths.settle(job, list(RUNS), 0.9, "the time limit")[0] != [], "it stood still"


def test_options_of_sbatch() -> None:
    assert options_of(["partition=gpu", "--time=1-00:00:00", "exclusive"]) == {
        "partition": "gpu",
        "time": "1-00:00:00",
        "exclusive": True,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition=", "is not of the form name=value"),
        ("=gpu", "is not of the form name=value"),
        ("comment=a\n#SBATCH --wrap=x", "is not of the form name=value"),
        ("array=0-3", "the engine sets array itself"),
    ],
)
def test_what_is_no_option_of_sbatch_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        options_of([text])
