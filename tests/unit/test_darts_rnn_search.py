"""Methods of weight sharing search for recurrent cells, unchanged: valid cells, and the same after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.darts_rnn import task as tasks
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.darts_rnn.supernet import by_row
from benchmarks.darts_rnn.task import RnnTask
from harness.checkpoint import File
from harness.errors import UserError
from methods.one_shot.parts import search as frame
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
    monkeypatch.setattr(tasks, "EVALUATED_ROWS", 8)  # few tokens one after the other, for speed
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
    assert [row.shape for row in rows[:-1]] == [(12, 8)] * (len(rows) - 1)
    stream = torch.cat([row[:, 3] for row in rows])
    assert torch.equal(stream, torch.arange(3 * 75, 3 * 75 + len(stream)))
    for places, labels in (*blocks, *task.batches("valid", 96, 0), task.plain("valid", 512, 0)):
        assert torch.equal(labels, task._text[places + 1])
    assert all(int(places.max()) < 600 - 1 for places, _ in blocks)
    assert all(int(places.min()) >= 600 for places, _ in task.batches("valid", 96, 0))


def test_each_training_block_has_the_validation_block_of_its_row_which_begins_again_after_the_end() -> None:
    task = made_darts_rnn.task()
    task._parts["valid"] = (600, 240)  # 30 rows of 8 streams
    starts = [(int(train[0][0]), int(valid[0][0]) - 600) for train, valid in task.pairs(96, 0)]
    assert starts == [(row, row % 29) for row in range(0, 73, 12)]


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
