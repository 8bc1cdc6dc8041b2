"""nb201/digits by the real command line, on an invented table."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.nb201 import digits_bundle
from benchmarks.nb201.digits_bundle import FILES
from harness import protocols
from harness.errors import UserError
from harness.plan import make, rows_of
from harness.protocol import BudgetRule

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_every_multi_trial_row_runs_on_digits_unchanged(command: Command, made: Path, tmp_path: Path) -> None:
    parts = protocols.protocol("digits").parts
    (part,) = [part for part in parts if part.kind == "multi-trial" and part.benchmarks == ("nb201/digits",)]
    wanted = set(rows_of(part))
    names = ",".join({row.partition(":")[0] for row in wanted})
    done = command("--protocol", "digits", "--methods", names, "--benchmarks", "nb201/digits", "--seeds", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "digits" / "runs.csv").open()))
    assert {row["row"] for row in rows} == wanted >= {"bohb:nats_2021", "bohb:nb201_2020"}
    assert {row["status"] for row in rows} == {"done"}
    table = (tmp_path / "digits" / "table.md").read_text()
    assert "one recorded seed drawn per query" in table
    assert "digits, x-test, 36 epochs, mean of recorded seeds" in table
    assert "Agreement with the papers" not in table


def test_the_budget_is_that_of_ten_mean_queries(made: Path) -> None:
    plan = make(protocols.protocol("digits"), methods=["random_search"], benchmarks=["nb201/digits"])
    (row,) = plan.rows
    assert len(row.runs) == 3
    mean_cost = plan.problem(row.spec).mean_cost
    assert mean_cost is not None
    assert row.spec.budget["limit"] == pytest.approx(10 * mean_cost)
    assert row.spec.budget["currency"] == "seconds"


def test_a_limit_in_trainings_needs_a_benchmark_that_knows_their_mean_cost() -> None:
    rule = BudgetRule("trainings", 200)
    assert rule.on("a/b", mean_cost=0.5)["limit"] == 100
    assert rule.on("a/b", 0.5, "macs") == {"currency": "macs", "limit": 100, "policy": "refuse", "interpolate": False}
    with pytest.raises(UserError, match="a/b knows no mean cost of a training"):
        rule.on("a/b")


@pytest.mark.slow
def test_missing_data_are_skipped_on_request(
    command: Command, made_data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for file in (FILES.manifest, FILES.cells, FILES.final, FILES.curves):
        (tmp_path / "data" / file).symlink_to(made_data[0] / file)
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    done = command("--protocol", "nb201-2020", "--if-found", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "left out: nb201/cifar10 is missing" in done.stderr
    assert not (tmp_path / "out").exists()
    assert command("--protocol", "nb201-2020", "--out", tmp_path / "out").returncode == 2
    done = command("--protocol", "smoke", "--methods", "random_search", "--if-found", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "left out" not in done.stderr
    assert "found: " in command("--list").stdout


@pytest.mark.usefixtures("made")
def test_a_damaged_file_is_one_line(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = digits_bundle.BUNDLE.folder()
    for file in json.loads((source / FILES.manifest).read_text())["files"]:
        (tmp_path / file).write_bytes((source / file).read_bytes())
    (tmp_path / FILES.manifest).write_bytes((source / FILES.manifest).read_bytes())
    with (tmp_path / FILES.final).open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    done = command("--protocol", "digits", "--methods", "random_search", "--out", tmp_path / "out")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "digits_final.parquet is damaged" in line
