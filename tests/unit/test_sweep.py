"""A sweep next to other processes: it waits aloud, takes over, and stops its workers when the store is lost."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from harness import sweep as sweeps
from harness.engine import Finished, Job, UnderWay
from harness.errors import UserError
from harness.outcome import Result
from harness.plan import Plan, PlannedRow
from harness.progress import Lines, RowState
from harness.protocol import Protocol
from harness.spec import RowSpec
from harness.store import Store
from tests.unit.test_store import RUNS, SPEC, another, result


@pytest.fixture
def plan() -> Plan:
    return Plan(Protocol("p", "P", 6, 60.0, {}, ()), [PlannedRow(SPEC, list(RUNS))])


def lines(rows: Sequence[RowSpec] = (SPEC,)) -> Lines:
    return Lines({row.identity: RowState(row.row, len(RUNS)) for row in rows})


def engine(jobs: Iterable[Job], workers: int) -> Iterator[Finished | UnderWay]:
    for job in jobs:
        for run in job.runs:
            yield job.row, run, Result(run.run_id, "done", scores={}, wall_seconds=1.0)


def test_runs_that_another_host_holds_are_waited_for_aloud(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweeps, "WAIT_S", 0.0)
    theirs = another(tmp_path, "elsewhere", 1)
    theirs.claim(SPEC, RUNS[:2])
    passed = []

    def sleep(_: float) -> None:  # while this process waits, the other host finishes what it holds
        passed.append(1)
        if len(passed) == 3:
            theirs.save(SPEC, [(run, result(run.world)) for run in RUNS[:2]])

    monkeypatch.setattr(time, "sleep", sleep)
    with Store(tmp_path, {}) as store:
        display = lines()
        sweeps.sweep(plan, store, engine, 1, display)
        assert len(store.statuses()) == 6
    assert plan.todo == 0
    assert display.states[SPEC.identity].done == 6
    assert capsys.readouterr().err.count("waiting for 2 runs claimed by elsewhere") == 1


def test_runs_of_a_host_that_fell_silent_are_taken_over(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another(tmp_path, "elsewhere", 1).claim(SPEC, RUNS[:2])
    passed = [0.0]
    monkeypatch.setattr("harness.store.time.monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: passed.__setitem__(0, passed[0] + 50 * seconds))
    with Store(tmp_path, {}) as store:
        sweeps.sweep(plan, store, engine, 1, lines())
        assert len(store.statuses()) == 6


@pytest.mark.parametrize("busy", [True, False])
def test_a_store_that_is_lost_ends_the_sweep_and_its_workers(busy: bool, plan: Plan, tmp_path: Path) -> None:
    stopped = []

    def losing(jobs: Iterable[Job], workers: int) -> Iterator[Finished | UnderWay]:
        try:
            job = next(iter(jobs))
            shutil.rmtree(tmp_path / "out")
            while True:
                yield [(job.row.identity, 0.5)] if busy else (job.row, job.runs[0], result(0))
        finally:
            stopped.append(True)

    store = Store(tmp_path / "out", {})
    with pytest.raises(UserError, match="was removed or moved"):
        sweeps.sweep(plan, store, losing, 1, lines())
    assert stopped == [True]
    store.close()


def test_a_plan_is_announced_for_those_who_watch(plan: Plan, tmp_path: Path) -> None:
    plan.rows[0].done = {RUNS[0].run_id}
    with Store(tmp_path, {"command": "c"}) as store:
        sweeps.sweep(plan, store, engine, 3, lines())
        (announced,) = store.announced()
    assert (announced.session.command, announced.runs, announced.done, announced.workers) == ("c", 6, 1, 3)


def test_quick_rows_come_first_then_a_run_of_every_row_then_the_longest_runs(tmp_path: Path) -> None:
    seconds = {"slow": 3.0, "quick": 0.1, "slower": 7.0, "slowest": 9.0}
    rows = [dataclasses.replace(SPEC, row=name) for name in seconds]
    planned = [PlannedRow(row, [row.run(world) for world in range(3)]) for row in rows]
    order = []

    def timed(jobs: Iterable[Job], workers: int) -> Iterator[Finished | UnderWay]:
        for job in jobs:
            order.append((job.row.row, len(job.runs)))
            for run in job.runs:
                yield job.row, run, Result(run.run_id, "done", scores={}, wall_seconds=seconds[job.row.row])

    with Store(tmp_path, {}) as store:
        sweeps.sweep(Plan(Protocol("p", "P", 6, 60.0, {}, ()), planned), store, timed, 1, lines(rows))
    first = [("slow", 1), ("quick", 1), ("quick", 2), ("slower", 1), ("slowest", 1)]
    assert order == [*first, *[(row, 1) for row in ("slowest", "slowest", "slower", "slower", "slow", "slow")]]


def test_a_row_whose_first_run_is_under_way_counts_as_the_longest(tmp_path: Path) -> None:
    rows = [dataclasses.replace(SPEC, row=name) for name in ("known", "under way")]
    planned = [PlannedRow(row, [row.run(world) for world in range(2)]) for row in rows]
    with Store(tmp_path, {}) as store:
        sweeper = sweeps._Sweep(Plan(Protocol("p", "P", 6, 60.0, {}, ()), planned), store, lines(rows))
        jobs = sweeper.jobs()
        first = next(jobs)
        sweeper.keep(first.row, first.runs[0], Result(first.runs[0].run_id, "done", wall_seconds=5.0))
        assert [first.row.row, *(job.row.row for job in jobs)] == ["known", "under way", "under way", "known"]
