"""What ``--dry-run`` and ``--price`` print, by the real command line, and that they leave nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("made")


@pytest.mark.parametrize(
    ("table", "method", "stages"), [("nb1shot1/1-digits", "random_search", 0), ("darts/digits", "rsps", 4)]
)
def test_a_dry_run_names_trainings_of_cells(table: str, method: str, stages: int, command: Command, tmp_path: Path) -> None:
    call = ["--protocol", "digits", "--benchmarks", table, "--methods", method, "--seeds", 1]
    done = command(*call, "--dry-run", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("from scratch, priced once it is known") == stages


def test_a_dry_run_prints_the_plan_and_leaves_nothing(command: Command, tmp_path: Path) -> None:
    done = command("--protocol", "nats-2021", "--benchmarks", "nb201/cifar10", "--dry-run", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "regularized_evolution" in done.stdout
    assert "not measured here: needs validation accuracy after epoch 1, 4" in done.stdout
    assert "unknown: --price measures it" in done.stdout
    assert not (tmp_path / "out").exists()


PAGES = {"index.html", "scoreboard.html", "scoreboard.md"}


@pytest.mark.slow
def test_a_price_is_measured_on_request_and_read_from_the_store_afterwards(command: Command, tmp_path: Path) -> None:
    call = ("--protocol", "smoke", "--methods", "random_search,reinforce:lr_0.5", "--out", tmp_path)
    done = command(*call, "--price")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" each, ") == 2
    assert not list(tmp_path.iterdir())
    command(*call[:2], "--methods", "random_search", "--seeds", 1, "--out", tmp_path)
    before = (tmp_path / "runs.sqlite").read_bytes()
    done = command(*call, "--seeds", 3, "--dry-run")
    assert done.stdout.count("unknown: --price measures it") == 1
    assert "3 runs of unknown price" in done.stdout
    assert (tmp_path / "runs.sqlite").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"runs.sqlite", "smoke", *PAGES}
