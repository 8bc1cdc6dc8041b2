"""One-stage ISTA-NAS by the real command line: its network is delivered, tested, and compared with a training of its cell."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.packing import unpack

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_the_network_of_a_single_run_is_tested_next_to_the_trained_cell(command: Command, tmp_path: Path) -> None:
    short = ("--budget", "epochs=5", "--set", "ista_nas.epochs=2", "--set", "ista_nas.continued=2")
    call = ("--protocol", "digits", "--benchmarks", "darts/digits", "--methods", "ista_nas:one_stage", "--seeds", "1", *short)
    done = command(*call, "--out", tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("digits*/")
    (run,) = csv.DictReader((folder / "runs.csv").open())
    assert run["status"] == "done" and 0 < float(run["single_run"]) <= 100
    text = (folder / "table.md").read_text()
    assert "single run, error %" in text and "trained from scratch: each" in text
    error = f"{100 - float(run['single_run']):.2f}"
    assert error in text
    with sqlite3.connect(tmp_path / "runs.sqlite") as db:
        ((scores, trace),) = db.execute("SELECT scores, trace FROM runs WHERE run_id = ?", (run["run_id"],))
        largest = max(len(bytes(value)) for (value,) in db.execute("SELECT trace FROM runs"))
    assert json.loads(scores)["digits"]["single_run"] == float(run["single_run"])
    columns = unpack(trace)
    assert len(columns["delivered/sha256"]) == 32
    assert columns["delivered/bytes"][0] > 4 * float(run["parameters"]) > largest, "the store has no weights"
