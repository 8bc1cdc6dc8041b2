"""What ``--status`` says of a store, for commands that work, ended, or were killed."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from harness import status
from harness.plan import PlannedRow
from harness.status import LOST_S
from harness.store import Store
from tests.unit.test_store import RUNS, SPEC, another, living, result

__all__ = ["living"]


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    with Store(folder, write=False) as store:
        status.show(store)
    return capsys.readouterr().out.splitlines()


def working(folder: Path, host: str, pid: int, done: int = 2) -> Store:
    """A command with two workers that has finished some of six runs in 10 s each, one of them failed, and holds two."""
    store = another(folder, host, pid)
    store.announce([PlannedRow(SPEC, list(RUNS))], workers=2)
    store.claim(SPEC, RUNS[: done + 2])
    for world in range(done):
        finished = result(world, "failed" if world == 1 else "done")
        finished.wall_seconds = 10.0
        store.save(SPEC, [(RUNS[world], finished)])
    return store


def test_a_running_command_shows_its_counts_and_its_end(
    tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]
) -> None:
    working(tmp_path, socket.gethostname(), living)
    lines = shown(tmp_path, capsys)
    assert lines[0].startswith("running:")
    assert f"process {living} on this host" in lines[1]
    assert "has claimed 2 runs" in lines[1]
    assert [line.split() for line in lines[3:6]] == [
        ["toy/x"], ["m:v", "2", "6", "1", "2", "10", "s"], ["total", "2", "6", "1", "2"],
    ]  # fmt: skip
    assert lines[-1].startswith("ends in about 20 s, at ")  # four runs of 10 s on two workers


def test_a_command_of_another_host_works_until_it_is_silent_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    working(tmp_path, "elsewhere", os.getpid())
    assert shown(tmp_path, capsys)[0].startswith("running:")
    later = time.time() + LOST_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    lines = shown(tmp_path, capsys)
    assert lines[0].startswith("ended:")
    assert "ended without a word, last sign of life 10 min ago; its 2 runs are free" in lines[1]
    assert lines[-1] == "4 runs are left; the same command goes on with them"


def test_a_command_that_ended_says_when(tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]) -> None:
    working(tmp_path, socket.gethostname(), living, done=6).close()
    lines = shown(tmp_path, capsys)
    assert lines[0].startswith("ended:")
    assert lines[-1] == "all runs are finished, 1 of them failed (--failed shows why)"


def test_without_failed_runs_all_are_done(tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]) -> None:
    store = another(tmp_path, socket.gethostname(), living)
    store.announce([PlannedRow(SPEC, list(RUNS))], workers=2)
    store.save(SPEC, [(run, result(run.world)) for run in RUNS])
    assert shown(tmp_path, capsys)[-1] == "all runs are done"


def test_two_commands_on_one_store_are_one_table(tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]) -> None:
    working(tmp_path, socket.gethostname(), living)
    second = another(tmp_path, "elsewhere", 7)
    row = PlannedRow(SPEC, list(RUNS), {RUNS[0].run_id, RUNS[1].run_id})
    second.announce([row], workers=2)
    second.claim(SPEC, RUNS[4:])
    lines = shown(tmp_path, capsys)
    assert sum(line.startswith("running:") for line in lines) == 2
    assert lines[-2].split() == ["total", "2", "6", "1", "4"]
    assert lines[-1].startswith("ends in about 10 s")


def test_an_end_is_unknown_until_something_is_done(tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]) -> None:
    working(tmp_path, socket.gethostname(), living, done=0)
    assert shown(tmp_path, capsys)[-1] == "ends: unknown until a run of every kind is done"


def test_a_later_stage_counts_no_run_twice(tmp_path: Path, living: int, capsys: pytest.CaptureFixture[str]) -> None:
    store = working(tmp_path, socket.gethostname(), living)
    store.announce([PlannedRow(SPEC, list(RUNS), {RUNS[0].run_id, RUNS[1].run_id})], workers=2)
    assert shown(tmp_path, capsys)[-2].split() == ["total", "2", "6", "1", "2"]


def test_a_store_without_a_plan_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path, {}).close()
    assert shown(tmp_path, capsys) == [f"no plan in {tmp_path / 'runs.sqlite'}"]
