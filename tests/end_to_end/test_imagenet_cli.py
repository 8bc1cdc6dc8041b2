"""A search on ImageNet by the real command line, on a few small images: searched, its cells trained there, and top-5 errors."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import made_imagenet

Command = Callable[..., subprocess.CompletedProcess[str]]

PROTOCOL = """
[made]
title = "Made"
seeds = 1
wall_limit_s = 900
comparable = false

[made.one-shot]
benchmarks = ["darts/imagenet"]
methods = ["pc_darts", "gaea_pc_darts", "ista_nas"]
rows = { ista_nas = ["one_stage"] }

[made.one-shot.settings."*"]
epochs = 2
batch = 8
channels = 4
lr_warmup = 1
partial = 2
warmup = 0.5

[made.one-shot.settings.gaea_pc_darts]
order = "weights_first"
arch_clip = 5.0

[made.one-shot.settings."ista_nas:one_stage"]
epochs = 1
batch = 64
target_channels = 4
target_cells = 3
auxiliary = 0.0
largest = 0.0
settling = 0
continued = 1
cutout = 0
drop_path = 0.0

[made.stages]
each = { of = "one-shot", recipe = "imagenet_smoke" }
direct = { of = "one-shot", recipe = "imagenet_smoke", chosen_by = "each" }

[made.judge]
"""
ROWS = {"pc_darts", "gaea_pc_darts", "ista_nas:one_stage"}


@pytest.fixture
def call(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Return what runs the protocol on the made images."""
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "made.toml").write_text(PROTOCOL)
    arguments = ("--protocol", tmp_path / "made.toml", "--methods", ",".join(sorted(ROWS)), "--workers", "1")
    return lambda: command(*arguments, "--out", tmp_path / "out", timeout=3000)


@pytest.mark.slow
def test_cells_are_searched_and_trained_on_imagenet_and_tables_have_the_top_five_errors(
    call: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    made_imagenet.write(tmp_path)
    done = call()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("decoding 25 images of ImageNet into") == 1, "once for all searches"
    with sqlite3.connect(tmp_path / "out" / "runs.sqlite") as database:
        stored = database.execute("SELECT spec.spec, status, scores FROM runs JOIN specs AS spec ON spec.id = runs.spec")
        runs = [(json.loads(spec), status, json.loads(scores)["imagenet"]) for spec, status, scores in stored]
    assert {status for _, status, _ in runs} == {"done"}
    searches = {spec["row"]: (spec, scores) for spec, _, scores in runs if spec["kind"] == "one-shot"}
    assert set(searches) == ROWS
    assert searches["pc_darts"][0]["trained_on"].startswith("ImageNet, 18 + 7 of 187 training images, ")
    assert 0 <= searches["ista_nas:one_stage"][1]["single_run"] <= 100, "the delivered network is tested"
    trained = [(spec, scores) for spec, _, scores in runs if spec["kind"] != "one-shot"]
    assert trained
    for spec, scores in trained:
        assert spec["settings"]["data"] == "imagenet" and "trained on 187, test set of 12" in spec["settings"]["images"]
        assert 0 <= scores["test"] <= scores["top5"] <= 100
    (page,) = tmp_path.glob("out/made*/")
    text = (page / "table.md").read_text()
    direct = text.partition("The chosen cells, trained from scratch: direct")[2].partition("\n## ")[0]
    assert "Cells found on darts/imagenet" in text and "were searched on" not in direct
    assert "top-5 error %" in direct and "24.20 (5.30 M; 3.8 GPU-days; GAEA T5" in direct and "7.30" in direct
    assert {f"{100 - scores['top5']:.2f}" for _, scores in trained} >= {
        line.split("|")[6].split("±")[0].strip() for line in direct.splitlines() if "NAS" in line or "DARTS" in line
    }
    assert (page / "genotypes.png").stat().st_size > 1000


def test_without_imagenet_or_with_a_broken_image_the_command_ends_with_a_line(
    call: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    missing = call()
    assert missing.returncode == 2 and "the folder imagenet" in missing.stdout, "it says what to put where"
    assert missing.stderr.strip().splitlines()[-1].startswith("error: nothing to run: no data for darts/imagenet")
    folder = made_imagenet.write(tmp_path)
    for image in (folder / "train" / "n01484850").iterdir():
        image.write_bytes(b"no image")
    broken = call()
    assert broken.returncode == 2 and "Traceback" not in broken.stderr
    assert "n01484850" in broken.stderr.splitlines()[-1] and "is damaged or not an image" in broken.stderr.splitlines()[-1]
