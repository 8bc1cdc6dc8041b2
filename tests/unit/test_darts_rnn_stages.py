"""Trained recurrent cells are compared by perplexity: the choice between them, and what a report reads of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.darts_rnn.published import published
from benchmarks.darts_rnn.retrainer import Retrainer
from benchmarks.darts_rnn.space import RnnSpace
from harness.frames import collect
from harness.outcome import Result
from harness.plan import Plan, make
from harness.protocol import Part, Protocol, Stage
from harness.retrain import retrain
from harness.spec import RETRAINING
from harness.stages import extend
from harness.store import Store
from harness.training import Trained
from tests import made_ptb
from tests.unit.test_stages import METHOD, PROVENANCE, trained

CELLS = [RnnSpace("mixed").to_str(cell) for cell in published().values()]
CHOICE = Stage("choice", "one-shot", "rnn_smoke", split="valid")
CHOSEN = Stage("chosen", "one-shot", "rnn_smoke", chosen_by="choice")


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    made_ptb.show(tmp_path, monkeypatch)
    (tmp_path / "random_cell_of_mine.py").write_text(METHOD)
    protocol = Protocol("made", "Made", 2, 60.0, {}, (Part("one-shot", ("darts_rnn/ptb",)),), (CHOICE, CHOSEN))
    yield make(protocol, methods=[str(tmp_path / "random_cell_of_mine.py")])
    made_ptb.forget()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out", PROVENANCE) as opened:
        yield opened


def finish(store: Store, plan: Plan, kind: str, results: dict[str, dict[str, float]]) -> None:
    """Store the searches or the trainings of a plan, in the order of the cells, with these scores by cell."""
    for row in (row for row in plan.rows if (row.spec.kind == RETRAINING) == (kind == RETRAINING)):
        for run, arch in zip(row.runs, CELLS, strict=False):
            scores = {"ptb": {"test": math.nan, "valid": math.nan, **results[arch]}}
            result = Result(run.run_id, "done", run.arch or arch, scores)
            result.trace = {"proposal_seconds": [], "proposal_queries": []}
            result.spent = {"queries": 0, "seconds": 1.0}
            store.claim(row.spec, [run])
            store.save(row.spec, [(run, result)])


def test_the_cell_of_least_validation_perplexity_is_chosen_and_not_the_most_accurate(plan: Plan, store: Store) -> None:
    finish(store, plan, "search", {cell: {} for cell in CELLS})
    extend(plan, store)
    scores = {CELLS[0]: {"valid": 30.0, "perplexity": 70.0}, CELLS[1]: {"valid": 29.0, "perplexity": 60.0}}
    finish(store, plan, RETRAINING, scores)
    extend(plan, store)
    assert trained(plan, "chosen") == [(1, CELLS[1], 0)]
    lines = collect(plan, store, PROVENANCE).trainings.query("stage == 'choice'")
    assert lines["perplexity"].tolist() == [70.0, 60.0] and set(lines["metric"]) == {"perplexity"}


def test_a_training_stores_the_perplexities_of_its_text(plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(store, plan, "search", {cell: {} for cell in CELLS})
    extend(plan, store)
    (row,) = [row for row in plan.rows if row.spec.kind == RETRAINING]
    returned = Trained(25.0, math.nan, math.log(80.0), {}, {}, 1, 2, valid_perplexity=90.0)
    monkeypatch.setattr(Retrainer, "train", lambda *_: returned)
    scores = retrain(row.spec, row.runs[0]).scores["ptb"]
    assert (scores["valid"], scores["valid_perplexity"]) == (25.0, 90.0)
    assert scores["perplexity"] == pytest.approx(80.0)
