"""Every row of every space trains an epoch on the GPU, and its steps leave the GPU to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness import device as harness_device
from harness.checkpoint import File
from harness.view import SearchView
from methods.one_shot.parts import search as frame
from tests import made_darts, made_nb1shot1_search, made_search
from tests.device.test_device_searches import BUSY
from tests.unit.test_one_shot_resume import Counter, Killed

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("small")]

SPACES = {"nb201": made_search, "nb1shot1": made_nb1shot1_search, "darts": made_darts}
ROWS = [
    *(("nb201", row) for row in made_search.rows()),
    *(("nb1shot1", row) for row in made_nb1shot1_search.ROWS),
    *(("darts", row) for row in made_darts.rows() if not row.startswith("random_cell")),
]


FIRST, LAST = 5, 8
"""The watched steps are those after the first number. An epoch has at least as many steps as the second number."""


def watch(monkeypatch: pytest.MonkeyPatch, device: str) -> list[float]:
    """Let everything that waits for the GPU raise an error in some steps of an epoch. The first steps make what later ones use.

    Returns:
        a list that gets the share of the search that is done, after each step.
    """
    shares: list[float] = []

    def noted(self: SearchView, share: float) -> None:
        shares.append(share)
        _raise_on_waits(device, FIRST <= len(shares) < LAST)

    monkeypatch.setattr(SearchView, "progress", noted)
    return shares


def _raise_on_waits(device: str, errors: bool) -> None:
    if device != "cpu":
        torch.cuda.set_sync_debug_mode("error" if errors else "default")


@pytest.mark.parametrize(("space", "row"), ROWS)
def test_a_row_trains_an_epoch_and_its_steps_do_not_wait(
    space: str, row: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = SPACES[space]
    view = made.view(device=device)
    shares = watch(monkeypatch, "cpu" if f"{space} {row}" in BUSY else device)
    try:
        arch, record = made.search(row, view, epochs=1, batch=4)
    finally:
        _raise_on_waits(device, False)
    assert (arch or view.trace.proposals[-1].arch) in view.space and record["spent"]["epochs"] > 0
    assert len(shares) >= LAST and "nan" not in record["scalars"]


MIXTURES = ("darts", "gaea_darts", "pc_darts", "gaea_pc_darts", "sparse_nas", "ista_nas", "xnas")


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(("space", "row"), [(space, row) for space, row in ROWS if row.partition(":")[0] in MIXTURES])
def test_a_replayed_search_is_the_one_that_runs(space: str, row: str, cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rounding. An epoch has eight steps, half of which are replays."""
    made: Any = SPACES[space]
    losses: dict[bool, list[float]] = {True: [], False: []}
    finish = frame.Search.finish_step
    for replayed, noted in losses.items():
        monkeypatch.setattr(harness_device, "RECORDED", {cuda} if replayed else set())
        monkeypatch.setattr(
            frame.Search, "finish_step", lambda search, loss, noted=noted: (noted.append(float(loss)), finish(search, loss))
        )
        made.search(row, made.view(device=cuda), epochs=2, batch=4)
    assert len(losses[True]) >= 16 and losses[True] == pytest.approx(losses[False], rel=1e-2)


@pytest.mark.parametrize("row", ["darts:bilevel", "rsps", "sparse_nas:adam"])
def test_a_killed_search_goes_on_from_its_checkpoint(
    row: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    passes, resumed = Counter(), Counter()
    made_search.search(row, made_search.view(device=device, meter=passes))
    file = File(tmp_path / "search.ckpt", "a run")
    with pytest.raises(Killed):
        made_search.search(row, made_search.view(device=device, checkpoint=file, meter=Counter(int(0.8 * passes.count))))
    view = made_search.view(device=device, checkpoint=file, meter=resumed)
    arch, _ = made_search.search(row, view)
    assert (arch or view.trace.proposals[-1].arch) in view.space and 0 < resumed.count < passes.count
