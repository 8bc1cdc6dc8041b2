"""The scoreboard as a user writes it: with every report, and from several stores."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.scoreboard import evidences
from harness.store import Store
from reports import addresses

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("made")


@pytest.mark.slow
def test_a_report_writes_the_scoreboard_and_several_stores_make_one(command: Command, tmp_path: Path) -> None:
    digits, nb201 = tmp_path / "digits", tmp_path / "nb201"
    few = ("--seeds", "3", "--workers", "1")
    searched = command(
        "--benchmarks", "nb201/digits", "--methods", "random_search", *few, "--budget", "trainings=2", "--out", digits
    )
    assert "../scoreboard.md" in searched.stderr.splitlines()[-1], "named with the files of the page"
    page = (digits / "scoreboard.md").read_text()
    assert page.startswith("# Scoreboard") and "| reproduced" not in page and "needs a GPU" in page
    assert "digits (1 rows)" in page, "another budget than the protocol's is on the page too"
    with Store(digits, write=False) as store:
        folders = [addresses.folder(evidence.page) for evidence in evidences(store)]
    assert folders == ["digits", "digits-budget-trainings-2"] and (digits / folders[1] / "table.md").exists(), "for the links"
    assert command("--protocol", "nb201-2020", "--methods", "random_search", *few, "--out", nb201).returncode == 0
    both = command("--scoreboard", "--out", digits, "--out", nb201, "--report-to", tmp_path / "both")
    assert both.returncode == 0, both.stderr
    page = (tmp_path / "both" / "scoreboard.md").read_text()
    assert "digits (1 rows), nb201-2020 (1 rows)" in page
    line = next(line for line in page.splitlines() if line.startswith("| RS ") and "CIFAR-100" in line)
    assert "71.04 ± 1.08" in line and "not run yet" not in line and "|   3 |" in line


def test_only_the_scoreboard_reads_several_folders(command: Command, tmp_path: Path) -> None:
    done = command("--all", "--out", tmp_path / "a", "--out", tmp_path / "b")
    assert done.returncode == 2 and "only --scoreboard" in done.stderr and not (tmp_path / "a").exists()


def test_a_scoreboard_of_nothing_lists_every_number_and_runs_nothing(command: Command, tmp_path: Path) -> None:
    done = command("--scoreboard", "--out", tmp_path / "nothing", "--report-to", tmp_path / "page")
    assert done.returncode == 0 and not (tmp_path / "nothing").exists()
    assert "Stored runs under: no protocol." in (tmp_path / "page" / "scoreboard.md").read_text()
