"""Every weight-sharing method searches the DARTS space: valid cells, the same again, and the same after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.darts import task
from benchmarks.darts.cell import OPS, inputs
from benchmarks.darts.space import DartsSpace, cells
from benchmarks.darts.supernet import Supernet
from benchmarks.images.augment import STANDARD, Augmentation
from benchmarks.images.task import SearchImages
from harness.checkpoint import File
from harness.weight_sharing import Pairing
from methods.one_shot.parts import ista
from methods.one_shot.parts import search as frame
from methods.one_shot.parts.differentiable import batches
from methods.one_shot.parts.sparse import SparseWeights
from methods.one_shot.parts.unrolled import architecture_gradient
from tests import made_darts
from tests.made_search import small
from tests.unit.test_one_shot_resume import Counter, Killed

pytestmark = pytest.mark.usefixtures("small", "narrow")
__all__ = ["small"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(task.MACROS, "digits", made_darts.MACRO)


ROWS = made_darts.rows()
SINGLE_PATH = {"darts", "gaea_darts", "gdas", "gaea_gdas", "pc_darts", "gaea_pc_darts", "xnas", "rsps", "random_cell"}


def test_the_space_runs_the_rows_of_the_papers() -> None:
    named = {row.partition(":")[0] for row in ROWS}
    assert named >= SINGLE_PATH | {"conas", "ista_nas", "sparse_nas"}
    assert {"conas", "conas:two_inputs", "ista_nas:two_stage", "ista_nas:one_stage", "sparse_nas:hapg"} <= set(ROWS)
    assert not {"rsps:nats_2021", "enas", "setn"} & set(ROWS)


QUICK = {"gaea_gdas", "ista_nas:one_stage"}
"""A row of each kind of training; the others are slow."""


@pytest.mark.parametrize("row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in ROWS])
def test_a_search_proposes_cells_and_a_killed_one_resumes_to_the_same_end(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    passes = Counter()
    arch, trace = expected = made_darts.search(row, made_darts.view(meter=passes))
    assert all(proposal.arch in made_darts.SPACE for proposal in trace["proposals"])
    if row.partition(":")[0] in SINGLE_PATH and row != "random_cell:table_6":
        assert arch in DartsSpace("single")
    if row.partition(":")[0] == "random_cell":
        assert passes.count == 0 < len({made_darts.search(row, made_darts.view(seed))[0] for seed in range(3)}) == 3
        return
    assert made_darts.view().budget.epochs == 0 < trace["spent"]["epochs"]
    file = File(tmp_path / "search.ckpt", "a run")
    with pytest.raises(Killed):
        made_darts.search(row, made_darts.view(checkpoint=file, meter=Counter(int(0.8 * passes.count))))
    resumed = Counter()
    assert made_darts.search(row, made_darts.view(checkpoint=file, meter=resumed)) == expected
    assert resumed.count < passes.count, "it went on from where it was"


def test_xnas_keeps_to_its_horizon_if_the_last_training_batch_is_smaller() -> None:
    """Of 32 training images in batches of 12, the last batch has 8: a search has 32 rounds, and rewards no more images."""
    arch, trace = made_darts.search("xnas", epochs=1, batch=12)
    assert arch in DartsSpace("single") and trace["spent"]["epochs"] == 2


@pytest.mark.slow
def test_two_operations_enter_each_node_of_ista_nas_and_of_conas_with_two_inputs() -> None:
    two = [made_darts.search("ista_nas:two_stage", made_darts.view(seed))[0] for seed in range(2)]
    for arch in two:
        for cell in cells(arch):
            assert [len(inputs(cell, node)) for node in range(2, 6)] == [2] * 4
    (arch, _), (all_of_it, _) = (made_darts.search(row) for row in ("conas:two_inputs", "conas"))
    assert all(len(inputs(cell, node)) <= 2 for cell in cells(arch) for node in range(2, 6))
    assert sum(edge.bit_count() for edge in all_of_it) > 0


def test_one_stage_ista_nas_is_as_accurate_with_its_weights_in_the_norms() -> None:
    view = made_darts.view()
    made_darts.search("ista_nas:one_stage", view)
    (line,) = [line for line in view.trace.scalars if "accuracy_before_absorption" in line]
    assert line["accuracy_after_absorption"] == line["accuracy_before_absorption"] > 0


@pytest.mark.parametrize(
    ("epochs", "settling", "searching"),
    [
        (9, 0, 2),  # every node has settled after the second epoch, the first in which one can
        (9, 1, 3),
        (2, 1, 2),  # the epochs of a search include those of settling
        (1, 1, 1),  # no node has settled, and the epochs end
    ],
)
def test_one_stage_ista_nas_trains_an_epoch_at_the_rate_of_the_search_before_the_further_ones(
    epochs: int, settling: int, searching: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-62: the code notices a settled cell after one more epoch, without drop-path; then the cosine begins."""
    trained: list[tuple[float, float]] = []
    report = ista._report

    def watched(search: frame.Search, codes: ista.Codes) -> None:
        assert isinstance(search.net, Supernet)
        trained.append((search.lr, search.net.drop_path))
        report(search, codes)

    monkeypatch.setattr(ista, "_report", watched)
    made_darts.search(
        "ista_nas:one_stage", epochs=epochs, settled=1e9, settling=settling, continued=2, drop_path=0.4, lr_last=0.001
    )
    assert trained[:-2] == [(0.025, 0.0)] * searching
    assert trained[-2:] == [(0.025, 0.0), (pytest.approx(0.013), pytest.approx(0.2))]


def test_ista_nas_iterates_over_validation_images_as_its_code_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-64: the other methods of this space draw a new batch at every step."""
    requested = set()
    pairs = SearchImages.pairs

    def watched(self: SearchImages, batch: int, epoch: int, pairing: Pairing = "space") -> Any:
        requested.add(pairing)
        return pairs(self, batch, epoch, pairing)

    monkeypatch.setattr(SearchImages, "pairs", watched)
    for row, changes, expected in (
        ("ista_nas:two_stage", {}, "iterate"),
        ("ista_nas:two_stage", {"pairing": "redraw"}, "redraw"),
        ("darts:bilevel", {}, "space"),
    ):
        requested.clear()
        made_darts.search(row, None, **changes)
        assert requested == {expected}


def test_rsps_probes_cells_under_its_shared_weights_and_others_are_discretised() -> None:
    view = made_darts.view()
    made_darts.search("rsps", view, probed=3)
    assert len(view.trace.probes) == 3
    assert all(probe.arch in DartsSpace("single") and 0 <= probe.shared <= 100 for probe in view.trace.probes)
    assert all(0 < probe.loss < 100 for probe in view.trace.probes)
    view = made_darts.view()
    made_darts.search("gaea_darts:bilevel", view)
    names = ["supernet_accuracy", "final_supernet_accuracy", "discretised_accuracy"]
    assert all(name in line for name, line in zip(names, view.trace.scalars[-3:], strict=True))


def test_sparse_nas_keeps_what_has_weight() -> None:
    everything = ((1 << len(OPS)) - 1,) * 28
    assert made_darts.search("sparse_nas:hapg", second_order=False)[0] == everything  # at first all weights are 1/7
    # two steps from 1/7, each of which moves every weight towards zero by .025 * 3.8: the gradients decide which arrive
    constant = {"mixture": 1.0, "arch_cosine": False, "strength_step": 0.0, "first_strength": 3.8}
    fewer, _ = made_darts.search("sparse_nas:hapg", None, second_order=False, **constant)
    assert 0 < sum(edge.bit_count() for edge in fewer) < 196
    # a cell that has lost all its nodes is not proposed
    with pytest.raises(IndexError):
        made_darts.search("sparse_nas:hapg", second_order=False, strength_step=0.0, first_strength=50.0)


def test_a_cell_that_sparse_nas_has_emptied_stays_empty_and_the_search_says_of_which_epoch_its_proposal_is_d19() -> None:
    view = made_darts.view()
    path = {"arch_cosine": False, "first_strength": 0.0, "strength_step": 50.0, "second_order": False}
    made_darts.search("sparse_nas:hapg", view, epochs=4, **path)
    lines = [line for line in view.trace.scalars if "epoch" in line]
    assert [line["proposed"] for line in lines] == [1, 0, 0, 0]
    assert [line["groups"] for line in lines] == [8, 0, 0, 0]
    assert lines[0]["kept"] > 0 and [line["kept"] for line in lines[1:]] == [0, 0, 0]
    assert len(view.trace.proposals) == 1


def test_without_any_weight_no_gradient_reaches_the_architecture_d19() -> None:
    """Every path to the output crosses two cells: where all weights are zero, so is every product of two of them."""
    settings = made_darts.method("sparse_nas:hapg", second_order=False, initial=1e-30)
    search = frame.Search(made_darts.view(), settings, none=False)
    weights = SparseWeights(search, settings)
    train, valid = next(iter(batches(search, "bilevel", 0)))
    for start, moved in ((0.1, True), (0.0, False)):
        for value in weights.values:
            value.data.fill_(start)
        gradients = architecture_gradient(search, weights, train, valid, second_order=False)
        assert any(bool(gradient.any()) for gradient in gradients) == moved


def test_cutout_changes_squares_of_the_images_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STANDARD, "digits", Augmentation())
    task = made_darts.view().task
    for (images, labels), (cut, same) in zip(task.batches("train", 16, 0), task.batches("train", 16, 0, cutout=4), strict=True):
        assert labels.equal(same)
        changed = (images != cut).flatten(1).sum(1)
        assert 0 < changed.max() <= 16
