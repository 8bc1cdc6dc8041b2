"""Sweeps through the real command line that are killed, interrupted, resumed, shared, watched, or lose their store."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store import Store
from tests.end_to_end.test_run_cli import Command, runs

pytestmark = pytest.mark.usefixtures("made")

SWEEP = ("--protocol", "nb201-2020", "--methods", "bohb:nb201_2020,reinforce", "--seeds", "200")
TOTAL = 200 * 4


def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.run", *SWEEP, "--out", str(out), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell has it ignored
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, made_data: tuple[Path, Path]) -> dict[str, tuple[str, str, str]]:
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DATA", str(made_data[0]))
        patch.setenv("NAS_CACHE", str(made_data[1]))
        assert start(out).wait(120) == 0
    return runs(out)


@pytest.mark.slow
def test_a_sweep_killed_at_random_moments_completes(
    tmp_path: Path, undisturbed: dict[str, tuple[str, str, str]], command: Command
) -> None:
    rng = random.Random(0)
    before: dict[str, tuple[str, str, str]] = {}
    for _ in range(12):
        sweep = start(tmp_path)
        time.sleep(rng.uniform(0.3, 1.6))
        os.kill(sweep.pid, signal.SIGKILL)  # the driver alone; its workers must notice
        sweep.wait()
        if (tmp_path / "runs.sqlite").exists():
            now = runs(tmp_path)
            assert before.items() <= now.items(), "a finished run was lost or changed"
            before = now
    done = command(*SWEEP, "--out", tmp_path)
    assert done.returncode == 0
    assert runs(tmp_path) == undisturbed
    assert len(undisturbed) == TOTAL


@pytest.mark.slow
def test_two_processes_share_a_store_without_doubling_a_run(
    tmp_path: Path, undisturbed: dict[str, tuple[str, str, str]]
) -> None:
    pair = [start(tmp_path, "--workers", "1") for _ in range(2)]
    complaints = [process.communicate(timeout=120)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], complaints
    assert runs(tmp_path) == undisturbed
    with sqlite3.connect(tmp_path / "runs.sqlite") as database:
        shares = [n for (n,) in database.execute("SELECT COUNT(*) FROM runs GROUP BY session")]
        assert database.execute("SELECT COUNT(*) FROM claims").fetchone() == (0,)
    assert sum(shares) == TOTAL
    assert len(shares) == 2, "one process did everything"


@pytest.mark.slow
def test_a_survivor_takes_over_the_runs_of_a_killed_process(
    tmp_path: Path, undisturbed: dict[str, tuple[str, str, str]]
) -> None:
    doomed, survivor = start(tmp_path), start(tmp_path)
    time.sleep(1.2)
    os.killpg(doomed.pid, signal.SIGKILL)
    doomed.wait()
    assert survivor.wait(120) == 0
    assert runs(tmp_path) == undisturbed


def until_some_runs_are_done(sweep: subprocess.Popen[bytes], out: Path, least: int = 20) -> None:
    while sweep.poll() is None:
        time.sleep(0.1)
        with Store(out, write=False) as store:
            if len(store.statuses()) >= least:
                return
    pytest.fail(f"the sweep ended: {sweep.communicate()[1]!r}")


@pytest.mark.slow
def test_an_interrupt_loses_no_finished_run_and_writes_the_page(tmp_path: Path) -> None:
    sweep = start(tmp_path, "--workers", "1")
    until_some_runs_are_done(sweep, tmp_path)
    sweep.send_signal(signal.SIGINT)
    _, stderr = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert b"Traceback" not in stderr
    assert b"the same command goes on" in stderr
    assert "BOHB" in (tmp_path / "nb201-2020" / "table.md").read_text()
    with sqlite3.connect(tmp_path / "runs.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM claims").fetchone() == (0,)


@pytest.mark.parametrize("lose", ["remove", "move", "truncate"])
@pytest.mark.slow
def test_a_store_that_is_lost_during_a_sweep_ends_it(lose: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sweep = start(out, "--workers", "1")
    until_some_runs_are_done(sweep, out)
    if lose == "remove":
        shutil.rmtree(out)
    elif lose == "move":
        out.rename(tmp_path / "elsewhere")
    else:
        os.truncate(out / "runs.sqlite", 0)
    _, stderr = sweep.communicate(timeout=60)
    assert sweep.returncode == 2
    last = stderr.decode().splitlines()[-1]
    assert "while this command was using it" in last or (lose == "truncate" and "runs.sqlite" in last)
    assert b"Traceback" not in stderr and b"report:" not in stderr


@pytest.mark.slow
def test_a_sweep_is_watched_and_reported_from_another_terminal(tmp_path: Path, command: Command) -> None:
    assert command("--status", "--out", tmp_path / "none").stdout.startswith("no runs in")
    sweep = start(tmp_path, "--workers", "1")
    until_some_runs_are_done(sweep, tmp_path)
    os.kill(sweep.pid, signal.SIGSTOP)  # so that it is still under way when it is looked at
    shown = command("--status", "--out", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"process {sweep.pid} on this host" in shown.stdout
    assert shown.stdout.startswith("running: python -m harness.run --protocol nb201-2020")
    assert "ends in about" in shown.stdout
    page = command(*SWEEP, "--report", "--out", tmp_path, "--report-to", tmp_path / "page")
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "page" / "nb201-2020" / "table.md").exists()
    assert f"of {TOTAL} runs are done" in page.stderr
    sweep.kill()
    sweep.wait()
    shown = command("--status", "--out", tmp_path)
    assert shown.stdout.startswith("ended: ")
    assert "ended without a word" in shown.stdout
    assert "the same command goes on with them" in shown.stdout


@pytest.mark.ray
def test_a_sweep_on_ray_is_the_sweep_on_this_machine(
    tmp_path: Path, undisturbed: dict[str, tuple[str, str, str]], command: Command
) -> None:
    done = command(*SWEEP, "--engine", "ray", "--workers", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert runs(tmp_path) == undisturbed
