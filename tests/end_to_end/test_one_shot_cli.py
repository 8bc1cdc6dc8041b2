"""Weight sharing by the real command line, on an invented table: killed, resumed, and reported."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("made")

SEARCH = (
    "--protocol",
    "digits-own-schedules",
    "--benchmarks",
    "nb201/digits",
    "--methods",
    "gaea_darts:erm",
    "--seeds",
    "1",
    "--set",
    "gaea_darts.epochs=2",
)


def runs(out: Path) -> list[dict[str, str]]:
    (folder,) = (path for path in out.iterdir() if path.name.startswith("digits"))
    rows = csv.DictReader((folder / "runs.csv").open())
    return [{name: value for name, value in row.items() if name != "wall_seconds"} for row in rows]


@pytest.mark.slow
def test_a_search_killed_with_kill_9_continues_from_its_checkpoint(command: Command, tmp_path: Path) -> None:
    assert command(*SEARCH, "--out", tmp_path / "undisturbed").returncode == 0
    out = tmp_path / "killed"
    doomed = subprocess.Popen([sys.executable, "-m", "harness.run", *SEARCH, "--out", str(out)], start_new_session=True)
    checkpoints: list[Path] = []
    while not checkpoints and doomed.poll() is None:
        time.sleep(0.05)
        checkpoints = list(out.rglob("*.ckpt"))
    os.killpg(doomed.pid, signal.SIGKILL)
    assert doomed.wait() == -signal.SIGKILL, "it was killed in mid-search"
    assert checkpoints and not list(out.rglob("runs.csv"))
    assert command(*SEARCH, "--out", out).returncode == 0
    assert runs(out) == runs(tmp_path / "undisturbed")
    assert not list(out.rglob("*.ckpt"))


@pytest.mark.slow
def test_regret_and_entropy_of_every_epoch_if_the_table_has_every_cell(command: Command, tmp_path: Path) -> None:
    short = ("pc_darts.epochs=2", "gaea_pc_darts.epochs=2", "gaea_pc_darts.warmup=0.5")
    rows = "random_search,pc_darts,gaea_pc_darts"
    call = ["--protocol", "digits-own-schedules", "--benchmarks", "nb1shot1/1-digits", "--methods", rows, "--seeds", 2]
    done = command(*call, *(word for setting in short for word in ("--set", setting)), "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("digits*/")
    assert {"regret_per_epoch.pdf", "entropy_per_epoch.pdf"} <= {path.name for path in folder.iterdir()}
    text = (folder / "table.md").read_text()
    assert "Budget: multi-trial: 7 200 epochs" in text and "one-shot: each method's own" in text
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    assert [line[4] for line in cells if "1–2" in line] == ["2/2", "2/2"]


@pytest.mark.slow
def test_a_search_whose_supernet_learned_nothing_is_marked(command: Command, tmp_path: Path) -> None:
    short = ("epochs=1", "lr=1e-9", "selection_batch=16", "candidates=2", "probed=0")
    settings = [f"rsps.{text}" for text in short] + ["ista_nas.epochs=1", "ista_nas.lr=1e-9", "ista_nas.normed=false"]
    call = ["--protocol", "digits-own-schedules", "--benchmarks", "nb201/digits", "--methods", "rsps,ista_nas:two_stage"]
    call += ["--seeds", "1"]
    done = command(*call, *(word for text in settings for word in ("--set", text)), "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("digits*/")
    text = (folder / "table.md").read_text()
    results, _, rest = text.partition("## Supernets at the end of the search")
    marked = [line for line in results.splitlines() if "(supernet at chance: 1 of 1)" in line]
    assert len(marked) == 3, "ISTA-NAS and both rows of RSPS, in the table of results"
    assert rest.count("1 of 1 |") == 3
    assert rest.count("is this project's; no paper has it") == 1, "the remark on ISTA-NAS is a fact of the benchmark"


@pytest.mark.slow
def test_a_budget_is_fitted_by_every_method_or_is_too_small_for_it(command: Command, tmp_path: Path) -> None:
    """Also by a method of the user's. Two budgets in one store make a figure of regret against the budget."""
    mine = Path(__file__).parents[2] / "examples" / "my_weight_sharing.py"
    methods = f"random_search,gdas,rsps,{mine}"
    call = ["--benchmarks", "nb201/digits", "--methods", methods, "--seeds", 1, "--out", tmp_path]
    call += ["--set", "rsps.candidates=2000"]
    limits = []
    for trainings in (2, 4):
        done = command(*call, "--budget", f"trainings={trainings}")
        assert done.returncode == 0, done.stderr
        folder = tmp_path / f"digits-budget-trainings-{trainings}"
        spent = {row["row"]: float(row["seconds"]) for row in csv.DictReader((folder / "runs.csv").open())}
        text = (folder / "table.md").read_text()
        assert set(spent) == {"random_search", "gdas", "my_weight_sharing"}
        assert "needs at least" in text, "the reason why RSPS, with its 2 000 candidates, is not in the table"
        limits.append(max(spent.values()))
        assert all(0.75 * limits[-1] <= seconds for row, seconds in spent.items() if row != "random_search")
    assert limits[1] == pytest.approx(2 * limits[0], rel=0.1)
    text = (folder / "table.md").read_text()
    assert (folder / "regret.pdf").exists() and "schedules were fitted to the budget at which the dots stand" in text
    assert "All rows had the same budget: 4 mean trainings" in text
