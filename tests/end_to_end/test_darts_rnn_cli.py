"""Searches for recurrent cells by the real command line, on an invented text: every row, killed and resumed, and trained."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import darts_rnn
from tests import made_ptb

Command = Callable[..., subprocess.CompletedProcess[str]]

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
SMALL = ("rsps.candidates=3", "rsps.probed=2", "conas.measurements=5")
SWEEP = ("--protocol", "invented.toml", "--seeds", "1", "--budget", "trainings=4", "--workers", "1")
CALL = (*SWEEP, *(word for setting in SMALL for word in ("--set", setting)))
STAGES = """
[invented.stages]
each = { of = "one-shot", recipe = "rnn_small" }
choice = { of = "one-shot", recipe = "rnn_small", split = "valid" }
chosen = { of = "one-shot", recipe = "rnn_small", seeds = 3, first_seed = 1, chosen_by = "choice" }

[invented.judge]
"""
KILLED = "darts:bilevel"
"""The first row."""


@pytest.fixture(autouse=True)
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let there be an invented text, and the rules of the small protocol on it, with a choice between cells."""
    shipped = Path(darts_rnn.__file__).with_name("protocols.toml").read_text()
    rules = shipped[shipped.index("[darts-rnn-small]") : shipped.index("[darts-rnn-small.stages]")] + STAGES
    rules = rules.replace("darts-rnn-small", "invented").replace("darts_rnn/pride", "darts_rnn/ptb-small")
    (tmp_path / "invented.toml").write_text(rules)
    monkeypatch.chdir(tmp_path)
    made_ptb.show(tmp_path, monkeypatch)
    yield
    made_ptb.forget()


def searches(out: Path) -> pd.DataFrame:
    """Return by row the status, the cell and the charged multiply-adds of the searches of a store."""
    with sqlite3.connect(out / "runs.sqlite") as database:
        stored = database.execute("SELECT spec.spec, status, arch, spent FROM runs JOIN specs AS spec ON spec.id = runs.spec")
        lines = [(json.loads(spec), status, arch, json.loads(spent)) for spec, status, arch, spent in stored]
    by_row = {spec["row"]: (status, arch, spent["macs"]) for spec, status, arch, spent in lines if spec["kind"] == "one-shot"}
    return pd.DataFrame.from_dict(by_row, orient="index", columns=["status", "arch", "macs"])


@pytest.mark.slow
def test_every_row_searches_under_one_budget_and_its_cell_is_trained_also_after_a_kill(
    command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    doomed = subprocess.Popen([sys.executable, "-m", "harness.run", *CALL, "--out", str(out)], start_new_session=True)
    checkpoints: list[Path] = []
    while not checkpoints and doomed.poll() is None:
        time.sleep(0.02)
        checkpoints = list(out.rglob("*.ckpt"))
    os.killpg(doomed.pid, signal.SIGKILL)
    assert doomed.wait() == -signal.SIGKILL, "it was killed in mid-search"
    done = command(*CALL, "--out", out, timeout=3000)
    assert done.returncode == 0, done.stderr

    runs = searches(out)
    assert {row.partition("[")[0] for row in runs.index} == ROWS and set(runs["status"]) == {"done"}
    charged = runs["macs"].drop("random_cell")
    assert runs["macs"]["random_cell"] == 0 and charged.min() > 0.5 * charged.max(), "every search uses most of one budget"
    (page,) = out.glob("invented*/")
    lines = pd.read_csv(page / "trainings.csv")
    assert lines["perplexity"].between(1, made_ptb.WORDS).all() and set(lines["stage"]) == {"each", "choice", "chosen"}
    text = (page / "table.md").read_text()
    assert "least validation perplexity in the trainings 'choice'" in text and "error %" not in text

    alone = (*SWEEP, "--methods", KILLED, "--out", tmp_path / "undisturbed")
    assert command(*alone, timeout=3000).returncode == 0
    assert tuple(searches(tmp_path / "undisturbed").loc[KILLED]) == tuple(runs.loc[KILLED])
