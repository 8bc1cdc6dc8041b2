"""The commands that train a recurrent cell and that compare random cells: results, resumption, and refusals in a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from benchmarks.darts_rnn import datasheet, train
from benchmarks.darts_rnn.recipe import recipe
from benchmarks.darts_rnn.retraining import Retraining
from harness.errors import UserError
from tests import made_ptb

DOCS = Path(train.__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made_ptb.show(tmp_path, monkeypatch)
    yield
    made_ptb.forget()


def test_a_training_writes_its_result_and_continues_after_a_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(name: str, minutes: float) -> None:
        train.train("DARTS_V1", tmp_path / name, "ptb", "rnn_smoke", ["epochs=2"], 1, "cpu", minutes)

    call("straight", 0.0)
    with pytest.raises(typer.Exit) as stopped:
        call("stopped", 1e-6)
    assert stopped.value.exit_code == 3
    call("stopped", 0.0)
    assert "continues after epoch 1" in capsys.readouterr().out
    straight, pieces = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("straight", "stopped"))
    assert straight["epochs"] == 2 and straight["test_perplexity"] < made_ptb.WORDS
    assert {**straight, "seconds": 0} == {**pieces, "seconds": 0}
    assert len((tmp_path / "straight" / "curve.csv").read_text().splitlines()) == 3


def test_wrong_calls_are_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'width'"):
        recipe("rnn_smoke").changed(["wdth=3"])
    with pytest.raises(UserError, match="width='wide' is no int"):
        recipe("rnn_smoke").changed(["width=wide"])
    assert recipe("rnn_smoke").changed(["width=9"]).width == 9
    with pytest.raises(UserError, match="device 'tpu' is not cpu or cuda"):
        train.train("DARTS_V1", tmp_path, "ptb", "rnn_smoke", None, 0, "tpu", 0.0)
    with pytest.raises(UserError, match="no text 'wiki'"):
        train.train("DARTS_V1", tmp_path, "wiki", "rnn_smoke", None, 0, "cpu", 0.0)


def test_a_datasheet_compares_cells_and_trains_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(cells: int, seeds: int) -> str:
        datasheet.datasheet(tmp_path / "sheet", "ptb", "rnn_smoke", None, cells, seeds, "cpu")
        return (tmp_path / "sheet" / "datasheet.md").read_text()

    page = call(3, 2)
    assert page.count("\n| (") == 3 and "the text" in page.splitlines()[-1]
    monkeypatch.setattr(Retraining, "run", lambda self: pytest.fail("it is trained again"))
    assert call(3, 2) == page
    with pytest.raises(UserError, match="3 cells and 1 seeds have no spread"):
        call(3, 1)


def test_the_spread_of_cells_is_apart_from_that_of_seeds() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 3, 400)
    measured = [[mean + noise for noise in rng.normal(0, 1, 5)] for mean in truth]
    total = datasheet.spread(measured)
    assert total.between == pytest.approx(3, rel=0.1) and total.within == pytest.approx(1, rel=0.1)
    assert datasheet.spread([[1.0, 2.0], [2.0, 1.0]]).between == 0


def test_the_cell_farthest_from_the_others_is_left_out() -> None:
    cells = [[10.0, 11.0], [10.5, 11.5], [10.2, 10.8], [90.0, 90.5]]
    assert datasheet.spread(cells).ratio > datasheet.LEAST_RATIO
    assert datasheet.without_farthest(cells) == cells[:3]
    assert datasheet.spread(datasheet.without_farthest(cells)).ratio < datasheet.LEAST_RATIO


def test_the_manual_has_the_numbers_of_the_committed_datasheet() -> None:
    lines = pd.read_csv(DOCS / "rnn_datasheets.csv")
    novel = lines[lines["data"] == "pride"].groupby("cell", sort=False)["valid_perplexity"].apply(list).tolist()
    assert [len(seeds) for seeds in novel] == [5] * 12
    every, rest = (datasheet.spread(cells) for cells in (novel, datasheet.without_farthest(novel)))
    row = f"| 12 × 5 | {every.between:.2f} | {every.within:.2f} | **{every.ratio:.1f}** | {rest.ratio:.1f} |"
    assert row in (DOCS / "darts_rnn.md").read_text(encoding="utf-8")
    assert every.ratio > datasheet.LEAST_RATIO, "the text counts as a task"


def test_the_manual_has_the_numbers_of_the_committed_curves() -> None:
    lines, text = pd.read_csv(DOCS / "ptb_hour.csv"), (DOCS / "darts_rnn.md").read_text(encoding="utf-8")
    assert np.allclose(np.exp(lines["valid_loss"]), lines["valid_perplexity"], atol=0.005)
    ours, theirs = (group.set_index("epoch") for _, group in sorted(lines.groupby("code"), reverse=True))
    for epoch in ours.index:
        train, valid = ([side.loc[epoch, name] for side in (ours, theirs)] for name in ("train_perplexity", "valid_perplexity"))
        change = f"{100 * (valid[0] / valid[1] - 1):+.1f} %".replace("-", "−")
        cells = [f"{value:.2f}" for value in (*train, *valid, np.exp(theirs.loc[epoch, "valid_loss_as_printed"]))]
        assert f"| {epoch} | {' | '.join(cells)} | {change} |" in text


def test_the_manual_has_the_numbers_of_the_committed_matrix() -> None:
    lines = pd.read_csv(DOCS / "results" / "darts-rnn-small" / "trainings.csv")
    text = (DOCS / "darts_rnn.md").read_text(encoding="utf-8")
    lacks, fails = ~lines["arch"].str.contains("sigmoid"), lines["perplexity"] > 160
    assert (lacks == fails).all() and lacks.sum() == 13 and len(lines) == 45
    names = {"rsps": "RSPS", "random_cell": "random cell", "conas": "CoNAS", "gaea_darts:bilevel": "GAEA-DARTS (bilevel)"}
    names |= {"darts:bilevel": "DARTS (bilevel)", "darts:second_order": "DARTS (second order)"}
    names |= dict.fromkeys(("sparse_nas:adam", "sparse_nas:hapg", "sparse_nas:adam_hapg"), "SparseNAS, each of three")
    for row, group in lines.groupby("row"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {names[str(row)]} |")]
        cells = line.strip("| ").split(" | ")
        assert (cells[1], cells[3]) == (f"{group['perplexity'].mean():.1f}", f"{lacks[group.index].sum()} of 5")
