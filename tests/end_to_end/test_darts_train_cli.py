"""``python -m benchmarks.darts.train`` as a user calls it: trained, killed, continued, refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.darts import train
from harness.errors import UserError

QUICK = ["--cell", "darts_v1", "--data", "digits", "--recipe", "digits", "--set", "width=2", "--set", "depth=2"]
QUICK += ["--set", "evaluate_every=4", "--set", "epochs=5"]


def curve(out: Path) -> list[dict[str, str]]:
    lines = list(csv.DictReader((out / "curve.csv").open())) if (out / "curve.csv").exists() else []
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_result(tmp_path: Path) -> None:
    undisturbed = CliRunner().invoke(train.app, [*QUICK, "--out", str(tmp_path / "undisturbed")])
    assert undisturbed.exit_code == 0, undisturbed.output
    command = [sys.executable, "-m", "benchmarks.darts.train", *QUICK, "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1/"):
            break
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "result.json").exists()
    time.sleep(0.1)
    again = CliRunner().invoke(train.app, [*QUICK, "--out", str(tmp_path / "killed")])
    assert again.exit_code == 0 and "goes on after epoch" in again.output
    assert curve(tmp_path / "killed") == curve(tmp_path / "undisturbed") and len(curve(tmp_path / "undisturbed")) == 5

    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("undisturbed", "killed")]
    for name in ("accuracy_last_epoch", "accuracy_best_epoch_chosen_on_held_out", "recipe_digest", "genotype", "parameters"):
        assert results[0][name] == results[1][name]
    assert results[0]["held_out"] == "test" and results[0]["gpu_days"] is None
    assert results[0]["accuracy_last_epoch"] <= results[0]["accuracy_best_epoch_chosen_on_held_out"]


def test_a_training_in_pieces_says_that_it_has_not_ended(tmp_path: Path) -> None:
    done = CliRunner().invoke(train.app, [*QUICK, "--minutes", "0.00001", "--out", str(tmp_path)])
    assert done.exit_code == 3 and "the same command goes on" in done.output
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "pass --cell"),
        (["--cell", "DARTS_V3"], "did you mean DARTS_V"),
        (["--cell", "Genotype(normal=1)"], "it has no normal_concat"),
        (["--cell", "DARTS_V1", "--data", "mnist"], "no data 'mnist'"),
        (["--cell", "DARTS_V1", "--recipe", "dart"], "did you mean 'darts'"),
        (["--cell", "DARTS_V1", "--set", "lr"], "is not of the form field=value"),
        (["--cell", "DARTS_V1", "--data", "digits"], "too small for the auxiliary head"),
        (["--cell", "DARTS_V1", "--data", "imagenet", "--images", "/nowhere"], "is no folder"),
        (["--cell", "DARTS_V1", "--device", "tpu"], "is not cpu or cuda"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words: list[str], reason: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(train.app, [*words, *(["--out", str(tmp_path)] if words else [])])
    assert isinstance(done.exception, UserError) and reason in str(done.exception)


def test_cells_and_recipes_are_listed_without_training() -> None:
    cells = CliRunner().invoke(train.app, ["--cells"]).output
    assert "DARTS_V2" in cells and "3.35 M parameters" in cells
    recipes = CliRunner().invoke(train.app, ["--recipes"]).output
    assert "1200 epochs" in recipes
