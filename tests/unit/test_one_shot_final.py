"""Every search with shared weights logs what its supernet has learned, on one scale, at no charge and with no effect."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import Any

import pytest

from methods.one_shot.parts import recording as frame
from methods.one_shot.parts.passes import EVERYTHING, Forward
from methods.one_shot.parts.search import Search
from tests import made_search
from tests.made_search import small

pytestmark = pytest.mark.usefixtures("small")
__all__ = ["small"]

SINGLE = {"rsps", "enas", "conas"}
"""Methods that train a single cell per step, and have no pass of the whole supernet."""
QUICK = {"darts:erm", "rsps", "conas", "enas", "setn", "ista_nas:one_stage", "sparse_nas:adam"}


@pytest.mark.parametrize(
    "row", [row if row in QUICK else pytest.param(row, marks=pytest.mark.slow) for row in made_search.rows()]
)
def test_every_row_logs_it_once(row: str) -> None:
    view = made_search.view()
    made_search.search(row, view)
    (final,) = [line for line in view.trace.scalars if "final_supernet_accuracy" in line]
    recorded = [line["supernet_accuracy"] for line in view.trace.scalars if "supernet_accuracy" in line]
    assert (final["chance"], final["at_chance"]) == (10, 15) and 0 <= final["final_supernet_accuracy"] <= 100
    if row.partition(":")[0] not in SINGLE:
        assert final["final_supernet_accuracy"] == recorded[-1]


def test_a_search_that_settles_early_logs_it_too() -> None:
    view = made_search.view()
    made_search.search("ista_nas:one_stage", view, epochs=9, settled=1.0, settled_steps=0)
    assert [line["epoch"] for line in view.trace.scalars if "epoch" in line] == [1, 2]
    assert view.trace.scalars[-1]["final_supernet_accuracy"] == view.trace.scalars[-2]["supernet_accuracy"]


@pytest.mark.parametrize("row", ["rsps", "conas"])
def test_single_cells_are_measured_by_their_median_and_nothing_else_changes(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies: list[float] = []
    changes: dict[str, Any] = {"probed": 0} if row == "rsps" else {}
    validate = Search.validate

    def noted(self: Search, forward: Forward = EVERYTHING, images: int = 0) -> tuple[float, float]:
        result = validate(self, forward, images)
        if not self.net.metered:  # type: ignore[attr-defined]
            accuracies.append(result[0])
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Search, "validate", noted)
        view = made_search.view()
        arch, outcome = made_search.search(row, view, **changes)
    (final,) = [line for line in view.trace.scalars if "final_supernet_accuracy" in line]
    assert len(accuracies) == 2 + frame.FINAL_CELLS and len(set(accuracies)) > 1
    assert final["final_supernet_accuracy"] == median(accuracies[2:])
    monkeypatch.setattr(frame, "FINAL_CELLS", 1)
    other_arch, other = made_search.search(row, **changes)
    assert (other_arch, other["spent"], other["proposals"]) == (arch, outcome["spent"], outcome["proposals"])


def test_a_method_that_records_nothing_has_it_all_the_same() -> None:
    view = made_search.view()
    search = Search(view, made_search.method("rsps"))
    assert list(search.epochs()) == [0, 1]
    (line,) = view.trace.scalars
    assert math.isfinite(line["final_supernet_accuracy"]) and view.ledger.spent("epochs") == 0


@pytest.mark.parametrize("row", ["darts:bilevel", "rsps"])
def test_the_late_training_loss_is_the_mean_of_the_last_tenth_of_the_steps(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    finish = Search.finish_step

    def noted(self: Search, loss: Any) -> None:
        losses.append(float(loss))
        finish(self, loss)

    monkeypatch.setattr(Search, "finish_step", noted)
    for epochs, late in ((3, 1), (20, 2)):  # at least the last epoch
        losses.clear()
        view = made_search.view()
        made_search.search(row, view, epochs=epochs)
        (final,) = [line for line in view.trace.scalars if "train_loss" in line]
        steps = len(losses) // epochs
        assert final["train_loss"] == pytest.approx(fmean(losses[-late * steps :]), rel=1e-5)
