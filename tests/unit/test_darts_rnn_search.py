"""Methods of weight sharing search for recurrent cells, unchanged: valid cells, and the same after a kill."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.darts_rnn.supernet import by_row
from benchmarks.darts_rnn.task import RnnTask
from harness.checkpoint import File
from harness.errors import UserError
from harness.weight_sharing import Rules
from methods.one_shot.parts import search as frame
from methods.one_shot.parts.architecture import SoftmaxAdam
from tests import made_darts_rnn
from tests.made_darts_rnn import short
from tests.unit.test_one_shot_resume import Counter, Killed

__all__ = ["short"]
pytestmark = pytest.mark.usefixtures("short")

ROWS = made_darts_rnn.rows()
WANTED = {
    "darts:bilevel",
    "darts:second_order",
    "gaea_darts:bilevel",
    "rsps",
    "conas",
    "sparse_nas:hapg",
    "sparse_nas:adam_hapg",
    "sparse_nas:adam",
    "random_cell",
}
QUICK = {"rsps", "darts:second_order"}
"""A row of each kind of pass; the others are slow."""
SINGLE_PATH = {"darts", "gaea_darts", "rsps", "random_cell"}


def test_the_space_runs_the_rows_of_the_papers() -> None:
    assert set(ROWS) >= WANTED
    assert not [row for row in ROWS if row.startswith(("pc_darts", "gaea_pc_darts", "enas", "setn"))]


@pytest.mark.parametrize(
    "row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in ROWS if row in WANTED]
)
def test_a_search_proposes_cells_and_a_killed_one_resumes_to_the_same_end(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    passes = Counter()
    arch, trace = expected = made_darts_rnn.search(row, made_darts_rnn.view(meter=passes))
    assert all(proposal.arch in made_darts_rnn.SPACE for proposal in trace["proposals"])
    if row.partition(":")[0] in SINGLE_PATH:
        assert arch in RnnSpace()
    if row == "random_cell":
        assert passes.count == 0
        return
    assert trace["spent"]["epochs"] > 1 and trace["spent"]["macs"] > 0 and trace["spent"]["seconds"] == 0
    file = File(tmp_path / "search.ckpt", "a run")
    with pytest.raises(Killed):
        made_darts_rnn.search(row, made_darts_rnn.view(checkpoint=file, meter=Counter(int(0.8 * passes.count))))
    resumed = Counter()
    assert made_darts_rnn.search(row, made_darts_rnn.view(checkpoint=file, meter=resumed)) == expected
    assert resumed.count < passes.count, "it went on from where it was"


def test_blocks_are_in_the_order_of_the_text_and_their_labels_are_the_next_tokens() -> None:
    task = made_darts_rnn.task()
    blocks = list(task.batches("train", 96, 0))
    rows = [by_row(places) for places, _ in blocks]
    assert {row.shape for row in rows[:-1]} <= {(12, 8), (6, 8)}
    stream = torch.cat([row[:, 3] for row in rows])
    assert torch.equal(stream, torch.arange(3 * 75, 3 * 75 + len(stream)))
    for places, labels in (*blocks, *task.batches("valid", 96, 0), task.plain("valid", 512, 0)):
        assert torch.equal(labels, task._text[places + 1])
    assert all(int(places.max()) < 600 - 1 for places, _ in blocks)
    assert all(int(places.min()) >= 600 for places, _ in task.batches("valid", 96, 0))


def test_each_training_block_has_the_validation_block_of_its_row_which_begins_again_after_the_end() -> None:
    task = made_darts_rnn.task()
    task._parts["valid"] = (600, 240)  # 30 rows of 8 streams
    starts, row = [], 0
    for train, valid in task.pairs(96, 0):
        starts.append((int(train[0][0]), int(valid[0][0]) - 600))
        assert starts[-1] == (row, row % 29)
        assert len(by_row(valid[0])) == min(12, 29 - row % 29)
        row += len(by_row(train[0]))
    assert row >= 73 and len(starts) > 5


def test_a_twentieth_of_the_blocks_has_half_the_length_and_half_the_rate() -> None:
    """D-97."""
    task, factors, full, half = made_darts_rnn.task(), [], 0, 0
    for epoch in range(60):
        rows = [(len(by_row(train[0])), task.rate_factor) for train, _ in task.pairs(96, epoch)]
        assert set(rows[:-1]) <= {(12, 1.0), (6, 0.5)}
        full, half = full + rows[:-1].count((12, 1.0)), half + rows[:-1].count((6, 0.5))
        factors.append([factor for _, factor in rows])
    assert 0.02 < half / (half + full) < 0.1
    again = made_darts_rnn.task()
    assert factors == [[again.rate_factor for _ in again.pairs(96, epoch)] for epoch in range(60)], "a world repeats itself"


def test_candidates_are_compared_by_their_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell whose tokens are least surprising wins, and not the cell that guesses most of them."""
    search = frame.Search(made_darts_rnn.view(), made_darts_rnn.method("rsps"))
    archs = [search.view.space.sample(search.rng) for _ in range(4)]
    actives = [search.net.active_for(arch) for arch in archs]
    scores = dict(zip(actives, ((50.0, 4.0), (49.0, 2.0), (48.0, 1.0), (47.0, 3.0)), strict=True))
    monkeypatch.setattr(search, "score", lambda batch, forward: tuple(map(torch.tensor, scores[forward.active])))
    monkeypatch.setattr(search, "validate", lambda forward: (0.0, {2.0: 5.0, 1.0: 6.0}[scores[forward.active][1]]))
    assert search.best_of(archs) == archs[2]
    assert search.best_of(archs, finalists=2) == archs[1], "of the two best, the one with the smaller loss on all tokens"
    monkeypatch.setattr(search.task, "rules", Rules())
    assert search.best_of(archs) == archs[0], "images are ranked by accuracy"


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_adam_of_the_logits_has_the_tasks_decay_rate(beta: float) -> None:
    """D-94: .9 for recurrent cells, as in DARTS' code. The first moment of a step is (1 - beta) times the gradient."""
    search = frame.Search(made_darts_rnn.view(), made_darts_rnn.method("darts:bilevel"), none=True)
    if beta == 0.5:
        search.task.rules = Rules()
    logits = SoftmaxAdam(search, 3e-3, 0.0)
    logits.step([torch.ones(36, 5)])
    torch.testing.assert_close(logits.state_dict()["adam"]["moments"][0][0], torch.full((36, 5), 1 - beta))


def test_guessing_names_the_commonest_token_and_a_search_logs_it() -> None:
    task = made_darts_rnn.task()
    valid = torch.cat([labels for _, labels in task.batches("valid", 96, 0)])
    commonest = 100 * float(torch.bincount(valid).max() / len(valid))
    assert task.rules.guessing == pytest.approx(commonest, abs=1.0), "labels leave out the first token of each stream"
    view = made_darts_rnn.view()
    made_darts_rnn.search("rsps", view)
    (final,) = [line for line in view.trace.scalars if "chance" in line]
    assert task.rules.guessing is not None and final["chance"] == task.rules.guessing > 100 / task.classes
    assert final["at_chance"] == pytest.approx(1.05 * final["chance"])


def test_a_task_has_its_number_of_rows_in_an_evaluation() -> None:
    for rows in (16, 64):
        places, _ = made_darts_rnn.task(settings=dataclasses.replace(made_darts_rnn.SETTINGS, evaluated=rows)).plain(
            "valid", 256, 0
        )
        assert by_row(places).shape == (rows, 256 // rows)


def test_evaluation_batches_have_equal_sizes_and_wrap_around() -> None:
    task = made_darts_rnn.task()
    assert task.images["plain"] == task.images["valid"] == 512
    places, labels = task.plain("valid", 512, 0)
    assert len(places) == len(labels) == 512
    assert torch.equal(task.plain("valid", 512, 1)[0], places)
    first, second = (task.plain("valid", 128, number)[0] for number in range(2))
    assert torch.equal(by_row(second)[0], by_row(first)[-1] + 1), "a batch continues where the last one ended"


def test_worlds_have_other_weights_and_dropouts_and_a_world_repeats_itself() -> None:
    def seen(task: RnnTask) -> tuple[torch.Tensor, torch.Tensor]:
        net = task.supernet()
        return net.module.embedding.detach(), net(next(iter(task.batches("train", 96, 1)))[0]).detach()

    (a, first), (b, again), (c, other) = (seen(made_darts_rnn.task(world)) for world in (1, 1, 2))
    assert torch.equal(a, b) and torch.equal(first, again)
    assert not torch.equal(a, c) and not torch.equal(first, other)


def test_a_batch_with_more_streams_than_the_text_has_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="a batch of 1000 streams is too large for the 600 tokens of train"):
        next(iter(made_darts_rnn.task().batches("train", 12_000, 0)))
    with pytest.raises(ValueError, match="no matrix of a recurrent cell has a bias"):
        made_darts_rnn.task().supernet(bias=True)
