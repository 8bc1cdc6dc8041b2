"""Searches for recurrent cells by the real command line, on an invented text: every row, killed and resumed, and trained."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests import made_ptb
from tests.conftest import Command

ROWS = {
    "darts:bilevel",
    "darts:second_order",
    "gaea_darts:bilevel",
    "rsps",
    "sparse_nas:adam_hapg",
    "sparse_nas:hapg",
    "sparse_nas:adam",
    "conas",
    "random_cell",
}
SMALL = ("rsps.candidates=3", "rsps.probed=2", "conas.measurements=20")
SWEEP = ("--protocol", "darts-rnn-small", "--seeds", "1", "--budget", "trainings=8", "--workers", "1")
CALL = (*SWEEP, *(word for setting in SMALL for word in ("--set", setting)))


@pytest.fixture(autouse=True)
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made_ptb.show(tmp_path, monkeypatch)
    yield
    made_ptb.forget()


def results(out: Path) -> pd.DataFrame:
    """Return every run of a store: its row, cell, scores and price, and neither times nor places."""
    with sqlite3.connect(out / "runs.sqlite") as database:
        query = "SELECT spec, run_id, status, arch, scores, spent FROM runs JOIN specs ON specs.id = runs.spec ORDER BY run_id"
        table = pd.read_sql_query(query, database)
    return table.drop(columns="spec")


@pytest.mark.slow
def test_every_row_searches_under_one_budget_and_a_killed_sweep_ends_the_same(command: Command, tmp_path: Path) -> None:
    done = command(*CALL, "--out", tmp_path / "undisturbed", timeout=1800)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "undisturbed" / "darts-rnn-small"
    runs = pd.read_csv(folder / "runs.csv").set_index("row")
    assert {row.partition("[")[0] for row in runs.index} == ROWS
    assert set(runs["status"]) == {"done"}
    limit = runs["macs"].max()
    searched = runs.drop("random_cell")
    assert (searched["macs"] > 0.5 * limit).all(), "every search uses the same budget"

    out = tmp_path / "killed"
    doomed = subprocess.Popen([sys.executable, "-m", "harness.run", *CALL, "--out", str(out)], start_new_session=True)
    checkpoints: list[Path] = []
    while not checkpoints and doomed.poll() is None:
        time.sleep(0.02)
        checkpoints = list(out.rglob("*.ckpt"))
    os.killpg(doomed.pid, signal.SIGKILL)
    assert doomed.wait() == -signal.SIGKILL, "it was killed in mid-search"
    assert command(*CALL, "--out", out, timeout=1800).returncode == 0
    mine, undisturbed = results(out), results(tmp_path / "undisturbed")
    pd.testing.assert_frame_equal(mine, undisturbed)
