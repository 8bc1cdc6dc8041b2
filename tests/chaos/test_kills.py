"""Random kills: nothing is lost, nothing is done twice, and every number equals that of an undisturbed sweep.

Run by ``tox -e chaos``. ``CHAOS_KILLS`` sets how many processes are killed, ``CHAOS_SEED`` which of them.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store import Store
from tests import official_files

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("made")]

KILLS = int(os.environ.get("CHAOS_KILLS", "170"))
IMPORT_KILLS = max(1, KILLS // 6)
SEED = int(os.environ.get("CHAOS_SEED", "0"))
ROWS = "random_search,regularized_evolution,local_search,reinforce:lr_0.01,bohb:nb201_2020"
DRIVERS = 4


def sweep(out: Path, seeds: int, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "harness.run", "--protocol", "digits", "--benchmarks", "nb201/digits", "--methods", ROWS),
        *("--budget", "queries=150", "--seeds", str(seeds), "--workers", "2", "--out", str(out), *more),
    ]


def family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid] + [below for child in children for below in family(int(child))]


def content(out: Path) -> dict[str, tuple[object, ...]]:
    """Return the columns of a store's runs that must be equal."""
    with sqlite3.connect(out / "runs.sqlite") as db:
        rows = db.execute("SELECT run_id, world, world_seed, method_seed, status, arch, scores, spent, error, trace FROM runs")
        return {run_id: rest for run_id, *rest in rows}


def test_killed_sweeps_end_with_the_runs_of_an_undisturbed_one(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    out = tmp_path / "out"
    kills, seeds = 0, 60
    while kills < KILLS:
        drivers = [subprocess.Popen(sweep(out, seeds), stderr=subprocess.DEVNULL) for _ in range(DRIVERS)]
        while kills < KILLS and any(driver.poll() is None for driver in drivers):
            time.sleep(rng.uniform(0.05, 1.0))
            alive = [driver for driver in drivers if driver.poll() is None]
            below = [pid for driver in alive for pid in family(driver.pid)[1:]]
            targets = [driver.pid for driver in alive] if rng.random() < 0.3 else below
            if targets:
                kills += _kill(rng.choice(targets))
            drivers = [
                driver if driver.poll() is None else subprocess.Popen(sweep(out, seeds), stderr=subprocess.DEVNULL)
                for driver in drivers
            ]
        for driver in drivers:
            driver.wait()
        seeds += 60
    seeds -= 60
    last = subprocess.run(sweep(out, seeds, "--retry-failed"), capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert subprocess.run(sweep(tmp_path / "clean", seeds), capture_output=True).returncode == 0
    disturbed, clean = content(out), content(tmp_path / "clean")
    print(f"{kills} kills, {len(clean):,} runs")
    assert disturbed.keys() == clean.keys()
    assert disturbed == clean
    with Store(out, write=False) as store:
        assert set(store.statuses().values()) == {"done"}


def _kill(pid: int) -> int:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def test_a_killed_import_leaves_nothing_and_the_next_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(SEED)
    table = tmp_path / "columns.parquet"
    official_files.columns_table(table)
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "harness.data", "import", str(table)]
    began = time.monotonic()
    assert subprocess.run(command, capture_output=True).returncode == 0
    duration = time.monotonic() - began
    for _ in range(IMPORT_KILLS):
        importing = subprocess.Popen([*command, "--force"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 1.0) * duration)
        importing.kill()
        importing.wait()
    assert subprocess.run([*command, "--force"], capture_output=True).returncode == 0
    inside = [path.name for path in (tmp_path / "cache" / "nb201").iterdir()]
    assert not [name for name in inside if name.startswith(".")], inside
    assert subprocess.run([sys.executable, "-m", "harness.data", "verify"], capture_output=True).returncode == 0
