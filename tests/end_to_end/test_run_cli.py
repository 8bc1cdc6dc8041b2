"""The real command line, as a user calls it: its output, its files, its failures."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.protocols import DEFAULT

Command = Callable[..., subprocess.CompletedProcess[str]]

BAD = Path(__file__).parents[1] / "bad_methods"

pytestmark = pytest.mark.usefixtures("made")


def runs(out: Path) -> dict[str, tuple[str, str, str]]:
    """Return ``{run id: (status, arch, scores)}``, after SQLite has checked the file."""
    with sqlite3.connect(out / "runs.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {key: rest for key, *rest in database.execute("SELECT run_id, status, arch, scores FROM runs")}


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Require exit code 2 and one line that says what is wrong, without a traceback."""
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in last


def test_list_shows_methods_benchmarks_and_protocols(command: Command) -> None:
    done = command("--list")
    assert done.returncode == 0
    for name in ("random_search", "reinforce:lr_0.5", "nb201/cifar10", "nb201/digits", "found: plain columns", "smoke"):
        assert name in done.stdout
    assert done.stdout.count(" (default)") == 1
    assert f"  {DEFAULT} (default)" in done.stdout


def test_help_explains(command: Command) -> None:
    done = command("--help")
    assert done.returncode == 0
    assert "python -m harness.run --methods ./my_method.py" in done.stdout
    assert "Exit codes: 0 all runs done, 1 some" in done.stdout
    assert "130 interrupted" in " ".join(done.stdout.split())


def test_an_empty_machine_says_what_to_put_where(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DATA", "")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    done = command("--protocol", "nb201-2020", "--out", tmp_path / "out")
    assert "NATS-tss-v1_0-3ffb9-simple" in done.stdout
    assert "NAS_DATA" in done.stdout
    refused(done, "nothing to run", "nb201/cifar10")
    assert not (tmp_path / "out").exists()
    assert "missing" in command("--list").stdout


# -- what it leaves --------------------------------------------------------------------------------------------------------


MULTI_TRIAL = ("--methods", "random_search,regularized_evolution,reinforce,bohb,local_search")


def test_from_plan_to_table(command: Command, tmp_path: Path) -> None:
    done = command("--protocol", "smoke", *MULTI_TRIAL, "--seeds", 3, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "smoke"
    assert {"table.md", "table.tex", "runs.csv", "regret.pdf"} <= {file.name for file in report.iterdir()}
    table = (report / "table.md").read_text()
    for row in (
        "random search",
        "regularized evolution",
        "REINFORCE (0.5)",
        "BOHB (NB201 2020)",
        "BOHB (NATS 2021)",
        "local search",
        "local search (full)",
        "Optimal",
    ):
        assert row in table
    assert f"python -m harness.run --protocol smoke {' '.join(MULTI_TRIAL)} --seeds 3 --out {tmp_path}" in table
    rows = list(csv.DictReader((report / "runs.csv").open()))
    assert len(rows) == 9 * 3
    again = command("--protocol", "smoke", *MULTI_TRIAL, "--seeds", 3, "--out", tmp_path, "--report-to", "/sys/nowhere")
    assert "all 27 runs were done before" in again.stderr
    refused(again, "cannot write /sys/nowhere/smoke", "--report-to DIR")


@pytest.mark.slow
def test_more_seeds_later_and_one_method_at_a_time_make_the_same_table(command: Command, tmp_path: Path) -> None:
    command("--protocol", "smoke", "--methods", "random_search,reinforce", "--seeds", 4, "--out", tmp_path / "a")
    command("--protocol", "smoke", "--methods", "random_search", "--seeds", 2, "--out", tmp_path / "b", "--workers", 1)
    command("--protocol", "smoke", "--methods", "reinforce", "--seeds", 4, "--out", tmp_path / "b")
    command("--protocol", "smoke", "--methods", "random_search", "--seeds", 4, "--out", tmp_path / "b")
    assert runs(tmp_path / "a") == runs(tmp_path / "b")
    tables = [(tmp_path / out / "smoke" / "runs.csv").read_text() for out in "ab"]

    def without_time(text: str) -> list[list[str]]:
        rows = [{k: v for k, v in row.items() if k != "wall_seconds"} for row in csv.DictReader(text.splitlines())]
        return sorted(list(row.values()) for row in rows)

    assert without_time(tables[0]) == without_time(tables[1])


@pytest.mark.slow
def test_a_users_file_is_in_the_table_with_earlier_rows(command: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Mine:\n    '''The first cells.'''\n"
        "    reference = 'me'\n    def search(self, view):\n        while True:\n"
        "            view.query(view.space.sample(view.rng))\n"
    )
    command("--protocol", "smoke", "--methods", "random_search", "--out", tmp_path)
    done = command("--protocol", "smoke", "--methods", mine, "--out", tmp_path)
    assert done.returncode == 0
    table = (tmp_path / "smoke" / "table.md").read_text()
    assert "mine" in table
    assert "random search" in table


@pytest.mark.slow
def test_the_next_command_keeps_every_row_of_the_first_on_the_page(command: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Mine:\n    '''The first cells.'''\n"
        "    reference = 'me'\n    def search(self, view):\n        while True:\n"
        "            view.query(view.space.sample(view.rng))\n"
    )
    call = ("--protocol", "smoke", "--benchmarks", "nb201/digits", "--out", tmp_path)
    assert command(*call, "--methods", "random_search,local_search,gdas", "--seeds", 2).returncode == 0
    expected = {"random_search", "local_search", "gdas"}
    for methods, more in ((f"{mine},random_search", {"mine"}), ("gdas", set()), ("enas", {"enas"}), ("bohb", {"bohb"})):
        expected |= more
        assert command(*call, "--methods", methods, "--seeds", 3).returncode == 0
        with (tmp_path / "smoke" / "runs.csv").open() as file:
            rows = {line["method"] for line in csv.DictReader(file)}
        assert rows == expected, f"after --methods {methods}"
        table = (tmp_path / "smoke" / "table.md").read_text()
        assert all(f"| {row} " in table for row in ("random search", "local search", "GDAS"))


@pytest.mark.slow
def test_another_budget_or_setting_is_reported_apart(command: Command, tmp_path: Path) -> None:
    command("--protocol", "nb201-2020", "--methods", "random_search", "--seeds", 3, "--budget", "queries=5", "--out", tmp_path)
    table = (tmp_path / "nb201-2020-budget-queries-5" / "table.md").read_text()
    assert "not comparable" in table
    assert "budget queries=5" in table
    assert not (tmp_path / "nb201-2020").exists()


@pytest.mark.slow
def test_a_changed_setting_is_a_row_next_to_the_original(command: Command, tmp_path: Path) -> None:
    call = ("--protocol", "smoke", "--seeds", 3, "--out", tmp_path)
    command(*call, "--methods", "reinforce", "--set", "reinforce.lr=0.1")
    command(*call, "--methods", "reinforce:lr_0.5,random_search")
    table = (tmp_path / "smoke" / "table.md").read_text()
    assert "| REINFORCE[lr=0.1] " in table
    assert "| REINFORCE (0.5) " in table
    assert "| REINFORCE (0.01) " not in table
    settings = {cells[1].strip(): cells[2].strip() for line in table.splitlines() if len(cells := line.split("|")) == 4}
    assert settings["REINFORCE[lr=0.1]"] == "lr = 0.1 (0.01)" and settings["REINFORCE (0.5)"] == "lr = 0.5 (0.01)"
    assert table.count("made on") == 2, "both commands that made runs are named"
    assert "--set reinforce.lr=0.1" in table


@pytest.mark.slow
def test_runs_of_an_older_method_are_not_shown(command: Command, tmp_path: Path) -> None:
    mine, call = tmp_path / "mine.py", ("--protocol", "smoke", "--seeds", 3, "--out", tmp_path)
    text = (
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Mine:\n    '''One.'''\n    reference = 'me'\n"
        "    def search(self, view):\n        view.query(view.space.sample(view.rng))\n"
    )
    mine.write_text(text)
    command(*call, "--methods", mine)
    command(*call, "--methods", "random_search")
    assert "| mine " in (tmp_path / "smoke" / "table.md").read_text()
    mine.write_text(text.replace("One", "Two"))
    command(*call, "--methods", "local_search")
    assert "| mine " not in (tmp_path / "smoke" / "table.md").read_text()


@pytest.mark.slow
def test_published_rows_without_runs_are_marked(command: Command, tmp_path: Path) -> None:
    command("--protocol", "nb201-2020", "--methods", "random_search", "--seeds", 3, "--out", tmp_path)
    table = (tmp_path / "nb201-2020" / "table.md").read_text()
    assert "not measured here: not run yet" in table


@pytest.mark.parametrize(("name", "verdict"), [("exits", "ended the process"), ("swallows", "charges after BudgetExhausted")])
def test_a_check_names_the_fault_of_a_bad_method(command: Command, name: str, verdict: str) -> None:
    done = command("--check", BAD / f"{name}.py")
    assert done.returncode == 1
    assert verdict in done.stdout
    assert done.stdout.strip().endswith(f"{name} breaks the contract")


# -- how it fails ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["nothing to do", "--help"]),
        (("--methods", "regularised_evolution"), ["no method", "did you mean 'regularized_evolution'"]),
        (("--protocol", "nb201-2O20"), ["no protocol", "did you mean 'nb201-2020'"]),
        (("--benchmarks", "nb201/cifar11"), ["no benchmark", "did you mean 'nb201/cifar1"]),
        (("--all", "--budget", "seconds=-1"), ["budget 'seconds=-1'"]),
        (("--all", "--set", "lr=3"), ["--set 'lr=3' is not of the form method.field=value"]),
        (("--all", "--set", "reinforce.rate=3"), ["no setting 'rate'"]),
        (("--all", "--set", "reinforce.lr=-3"), ["lr must be above zero"]),
        (("--all", "--engine", "pbs"), ["engine 'pbs'"]),
        (("--all", "--device", "tpu"), ["device 'tpu'"]),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: list[str]
) -> None:
    refused(command(*arguments, *(("--out", tmp_path / "out") if arguments else ())), *words)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_exit_2(command: Command) -> None:
    assert command("--sedes", "3").returncode == 2
    assert command("--all", "--seeds", "0").returncode == 2


def test_a_file_in_the_place_of_the_output_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    call = ("--protocol", "smoke", "--methods", "random_search", "--out", tmp_path / "out")
    refused(command(*call), "cannot open", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_damaged_table_is_named_and_nothing_runs(
    command: Command, tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made, tmp_path / "cache")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    (column,) = (tmp_path / "cache").glob("nb201/*/cifar10-valid/12/mean/x-valid/accuracy.npy")
    data = bytearray(column.read_bytes())
    data[-1] ^= 1
    column.write_bytes(data)
    done = command("--protocol", "nb201-2020", "--methods", "random_search", "--out", tmp_path / "out")
    refused(done, "damaged: column cifar10-valid/12/mean/x-valid/accuracy", "import again")


@pytest.mark.slow
def test_bad_methods_cost_their_own_runs_and_exit_1(command: Command, tmp_path: Path) -> None:
    bad = ",".join(str(BAD / f"{name}.py") for name in ("raises", "nonsense", "nothing", "kills"))
    done = command("--protocol", "smoke", "--methods", f"{bad},random_search", "--seeds", 6, "--out", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    statuses = [status for status, *_ in runs(tmp_path).values()]
    assert len(statuses) == 30
    assert statuses.count("failed") == 18
    assert 6 < statuses.count("done") < 12 + 1
    table = (tmp_path / "smoke" / "table.md").read_text()
    assert "a bug of mine" in table
    why = command("--protocol", "smoke", "--methods", bad, "--seeds", 6, "--out", tmp_path, "--failed")
    assert "RuntimeError: a bug of mine" in why.stdout
    assert "SIGKILL" in why.stdout
    again = command("--protocol", "smoke", "--methods", "random_search", "--seeds", 6, "--out", tmp_path)
    assert again.returncode == 0


@pytest.mark.slow
def test_failed_runs_are_done_again_on_request(command: Command, tmp_path: Path) -> None:
    method = tmp_path / "moody.py"
    text = (
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass M:\n    '''Needs a file.'''\n    reference = ''\n"
        f"    def search(self, view):\n        open({str(tmp_path / 'needed')!r}).close()\n"
        "        view.query(view.space.sample(view.rng))\n"
    )
    method.write_text(text)
    call = ("--protocol", "smoke", "--methods", method, "--seeds", 2, "--out", tmp_path)
    assert command(*call).returncode == 1
    (tmp_path / "needed").write_text("")
    assert command(*call).returncode == 1  # a failed run is a finished run
    assert command(*call, "--retry-failed").returncode == 0


@pytest.mark.slow
def test_a_full_disk_loses_no_saved_run(tmp_path: Path, command: Command) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    call = ["--protocol", "smoke", "--methods", "bohb:nb201_2020", "--seeds", "1500", "--out", str(tmp_path)]
    command("--protocol", "smoke", "--methods", "random_search", "--seeds", 1, "--out", tmp_path / "first")  # imports
    done = subprocess.run(
        [sys.executable, "-m", "harness.run", *call], capture_output=True, text=True, timeout=120, preexec_fn=limited
    )
    refused(done, "finished runs are safe")
    before = runs(tmp_path)
    assert 0 < len(before) < 1500
    assert command(*call).returncode == 0
    after = runs(tmp_path)
    assert len(after) == 1500
    assert before.items() <= after.items()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line_before_anything_runs(command: Command, tmp_path: Path) -> None:
    call = ("--protocol", "smoke", "--methods", "random_search", "--device", "cuda", "--out", tmp_path / "out")
    refused(command(*call), "--device cuda", "--device cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_streams_and_names_that_cannot_be_written_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = os.fsencode(tmp_path) + b"/caf\xe9"
    run = [sys.executable, "-m", "harness.run", "--protocol", "smoke", "--methods", "random_search", "--seeds", "3"]
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = subprocess.run([*run, "--out", out], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"$'" in (Path(os.fsdecode(out)) / "smoke" / "table.md").read_bytes()
    shown = subprocess.run([sys.executable, "-m", "harness.run", "--list"], capture_output=True, timeout=120)
    assert (shown.returncode, shown.stderr) == (0, b"")
    silent = subprocess.run(["sh", "-c", '"$@" 2>&- >&- <&-', "sh", *run, "--out", str(tmp_path / "silent")], timeout=120)
    assert silent.returncode == 0
    assert len(runs(tmp_path / "silent")) == 3


def test_a_fault_of_the_harness_is_one_line_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from harness import command; command.run(lambda: {}['search'])"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    (file,) = tmp_path.iterdir()
    assert done.returncode == 3
    assert done.stderr == f"error: this is a fault of the harness: KeyError: 'search'; please report it with {file}\n"
    assert "Traceback" in file.read_text()
    monkeypatch.setenv("NAS_DEBUG", "1")
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert again.returncode == 3
    assert "Traceback" in again.stderr


@pytest.mark.parametrize("option", ["--methods", "--benchmarks"])
def test_an_option_that_names_nothing_does_not_mean_everything(option: str, command: Command, tmp_path: Path) -> None:
    done = command("--all", option, "", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (2, f"error: {option} names nothing; leave it out to mean all\n")


def test_a_report_of_a_folder_without_a_store_makes_no_folder(command: Command, tmp_path: Path) -> None:
    mistyped = tmp_path / "resluts"
    done = command("--protocol", "smoke", *MULTI_TRIAL, "--report", "--out", mistyped)
    assert (done.returncode, done.stderr) == (2, f"error: no runs in {mistyped}; --out names the folder of the store\n")
    assert not mistyped.exists()
