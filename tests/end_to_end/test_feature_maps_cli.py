"""Feature map selection by the real command line."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import review_files

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only data folder of a machine without other data."""
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.slow
def test_digits_are_searched_and_reported_on_a_fresh_machine(command: Command, tmp_path: Path) -> None:
    rows = ["weight_sharing:fast", "hyperband:random_search", "sweep:bilevel", "sweep:joint_erm"]
    call = ["--protocol", "smoke", "--benchmarks", "feature_maps/digits", "--methods", ",".join(rows), "--out", tmp_path]
    done = command(*call, "--seeds", 2, timeout=600)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "smoke"
    runs = list(csv.DictReader((folder / "runs.csv").open()))
    assert [(run["row"], run["status"]) for run in runs if run["world"] == "0"] == [(row, "done") for row in sorted(rows)]
    assert all(0 < float(run["test"]) <= 100 and run["regret"] == "" for run in runs)
    table = (folder / "table.md").read_text()
    for heading in ("Against random search", "At equal budget", "Ranking by shared weights", "Bilevel against single level"):
        assert f"## {heading}" in table
    assert "by a separate classifier" in table
    assert {"error.png", "error.pdf", "signal.png", "signal.pdf"} <= {file.name for file in folder.iterdir()}
    again = command(*call[:4], "--methods", rows[0], "--seeds", 2, "--workers", 1, "--out", tmp_path / "again", timeout=600)
    assert again.returncode == 0
    repeated = list(csv.DictReader((tmp_path / "again" / "smoke" / "runs.csv").open()))
    before = [run for run in runs if run["row"] == rows[0]]
    assert [(run["arch"], run["test"]) for run in repeated] == [(run["arch"], run["test"]) for run in before]


def malformed(home: Path) -> str:
    review_files.lines(home / "imdb.jsonl.xz", review_files.made(3), lambda lines: [*lines[:4], "{broken", *lines[5:]])
    return "imdb.jsonl.xz, line 5 is no review: a JSON object with split (train, test), label (0, 1) and text"


def without_a_class(home: Path) -> str:
    review_files.archive(home, [review for review in review_files.made(3) if review[:2] != ("test", "pos")]).rename(
        home / "aclImdb_v1.tar.gz"
    )
    (home / "unpacked" / "aclImdb" / "imdb.vocab").unlink()  # the archive is all there is
    return "aclImdb_v1.tar.gz has no reviews of test/pos; get the complete data set again"


def with_an_empty_review(home: Path) -> str:
    reviews = review_files.made(3)
    review_files.folder(home, [*reviews[:-1], (*reviews[-1][:4], "")])
    return "aclImdb: review test/pos/2 is empty; get it again"


@pytest.mark.parametrize("spoil", [malformed, without_a_class, with_an_empty_review])
def test_unusable_reviews_are_one_clear_line(
    spoil: Callable[[Path], str], command: Command, empty: Path, tmp_path: Path
) -> None:
    expected = spoil(empty)
    done = command("--protocol", "feature-maps-2020", "--benchmarks", "feature_maps/imdb", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert expected in line
    assert not list((tmp_path / "cache").rglob("*.npy"))


@pytest.mark.slow
def test_a_configuration_outside_the_pool_costs_its_own_run_and_is_named(command: Command, tmp_path: Path) -> None:
    strange = tmp_path / "strange.py"
    strange.write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Strange:\n    '''Trains what there is not.'''\n"
        "    reference = 'none'\n    kind = 'feature-maps'\n    proposes = 'self'\n"
        "    def search(self, view):\n        view.task.fit(99, 10)\n"
    )
    call = ["--protocol", "smoke", "--benchmarks", "feature_maps/digits", "--seeds", 1, "--out", tmp_path]
    done = command(*call, "--methods", f"{strange},hyperband:random_search", timeout=600)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "99 is not a configuration: whole numbers below 16" in (tmp_path / "smoke" / "table.md").read_text()
