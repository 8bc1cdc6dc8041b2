"""Search, train every cell, choose on validation images, train the chosen cell: as the command does it, and only once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from harness.engine import Engine, Finished, Job, local
from harness.execute import execute
from harness.plan import make
from harness.protocol import Part, Protocol, Stage
from harness.ray_engine import on_ray
from harness.retrain import retrain
from harness.run import _carry_out
from harness.store import Store
from tests.unit.test_stages import METHOD

STAGES = (
    Stage("each", "one-shot", "digits_smoke"),
    Stage("choice", "one-shot", "digits_smoke", split="valid"),
    Stage("chosen", "one-shot", "digits_smoke", seeds=2, chosen_by="choice"),
)


def inline(jobs: Iterable[Job], workers: int) -> Iterator[Finished]:
    """An engine without processes."""
    for job in jobs:
        for run in job.runs:
            yield job.row, run, (retrain if run.arch else execute)(job.row, run)


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(inline, id="inline"),
        pytest.param(local, id="local"),
        pytest.param(on_ray, id="ray", marks=pytest.mark.ray),
    ],
)
@pytest.mark.slow
def test_stages_follow_one_another_and_are_done_once(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "random_cell_of_mine.py").write_text(METHOD)
    rules = Protocol("made", "Made", 2, 900.0, {}, (Part("one-shot", ("darts/digits",)),), STAGES, comparable=False)

    def again(stages: tuple[Stage, ...] = STAGES) -> None:
        plan = make(dataclasses.replace(rules, stages=stages), methods=[str(tmp_path / "random_cell_of_mine.py")])
        _carry_out(plan, tmp_path / "out", engine, 2)

    again()
    with Store(tmp_path / "out") as store:
        done = store.statuses()
    assert set(done.values()) == {"done"} and len(done) == 2 + 2 + 2 + 1
    text = (tmp_path / "out" / "made" / "table.md").read_text()
    assert "best validation accuracy" in text and "Every cell, trained from scratch: each" in text
    lines = pd.read_csv(tmp_path / "out" / "made" / "trainings.csv")
    assert lines.groupby("stage").size().to_dict() == {"choice": 2, "chosen": 2, "each": 2}
    assert lines["accuracy"].between(0, 100).all() and (lines["accuracy"] <= lines["best"]).all()
    valid = lines[lines["stage"] == "choice"].set_index("world")["accuracy"]
    assert lines.loc[lines["stage"] == "chosen", "world"].unique().tolist() == [valid.idxmax()]
    capsys.readouterr()
    again()
    assert "all 7 runs were done before" in capsys.readouterr().err
    assert not list((tmp_path / "out" / "checkpoints").glob("*"))
