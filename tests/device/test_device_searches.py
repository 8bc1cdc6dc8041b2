"""Every row of every space on a pretend accelerator: it finds what the CPU finds, and its steps leave the device to work."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.darts import task as darts
from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.supernet import SearchMacro
from benchmarks.nb201 import supernet
from harness.checkpoint import File
from methods.one_shot.parts import search as frame
from methods.one_shot.parts.search import Search
from tests import made_darts, made_nb1shot1_search, made_search, pretend_device
from tests.pretend_device import Pretend, record_each_other_call
from tests.unit.test_one_shot_resume import Counter, Killed
from tests.unit.test_recorded_steps import MIXTURES

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(pretend_device.missing(), reason="this PyTorch has no devices written in Python"),
]

SPACES = {"nb201": made_search, "nb1shot1": made_nb1shot1_search, "darts": made_darts}
ROWS = {
    "nb201": made_search.rows(),
    "nb1shot1": made_nb1shot1_search.ROWS,
    "darts": [row for row in made_darts.rows() if not row.startswith("random_cell")],
}
BUSY = {
    **dict.fromkeys(("nb201 gdas", "nb201 gaea_gdas", "nb1shot1 gdas"), (2, 0)),
    "nb201 gaea_gdas:released": (1, 0),
    **dict.fromkeys(("darts gaea_gdas", "darts gaea_gdas:released"), (1, 1)),  # the plan of a new cell
    "darts gdas": (2, 2),
    **{f"darts {row}": (0, 1) for row in ROWS["darts"] if row.partition(":")[0] in ("rsps", "conas")},
    "darts ista_nas:one_stage": (0, 1),
}
"""The rows whose steps make the host wait, or copy from ordinary memory: at most this many waits and copies in each step."""
NUMBERS = 2
"""Copies of the numbers of recorded steps: of the weights and of the architecture."""


def steps(monkeypatch: pytest.MonkeyPatch, device: Pretend) -> list[tuple[int, int, int]]:
    """Return a list that gets the epoch, and the counts of the device, after each step of the weights."""
    counts: list[tuple[int, int, int]] = []
    finish = Search.finish_step

    def counted(self: Search, loss: Any) -> None:
        counts.append((self.epoch, *device.counts()))
        finish(self, loss)

    monkeypatch.setattr(Search, "finish_step", counted)
    return counts


ALIKE = {
    *("conas:paper_scale", "conas:two_inputs", "conas:repeated", "conas:table_6", "darts:no_none"),
    *("gaea_darts:bilevel", "gaea_darts:erm", "sparse_nas:hapg", "sparse_nas:adam_hapg"),
}
"""Rows that differ little from another one. In the large DARTS cells they are slow."""


def rows() -> list[Any]:
    slow = {("darts", row) for row in ALIKE}
    pairs = [(space, row) for space, names in ROWS.items() for row in names]
    return [pytest.param(*pair, marks=pytest.mark.slow if pair in slow else ()) for pair in pairs]


@pytest.mark.parametrize(("space", "row"), rows())
def test_a_search_is_that_of_the_cpu_and_its_steps_do_not_wait(space: str, row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that a GPU records do nothing that it refuses to record."""
    monkeypatch.setitem(darts.MACROS, "digits", made_darts.MACRO)
    monkeypatch.setitem(nb1shot1.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))
    monkeypatch.setattr(supernet, "_on_processor", lambda x: False)  # the cells as a GPU computes them
    made: Any = SPACES[space]
    short = {"epochs": 1, "batch": 12}
    with monkeypatch.context() as patch:
        made_search.shrink(patch)
        expected = made.search(row, **short)
    with Pretend() as device, monkeypatch.context() as patch:
        made_search.shrink(patch, pretend_device.NAME)
        counts = steps(patch, device)
        record_each_other_call(patch)
        assert made.search(row, made.view(device=pretend_device.NAME), **short) == expected
    assert bool(device.recordings) == (row.partition(":")[0] in MIXTURES)
    waits, uploads = BUSY.get(f"{space} {row}", (0, 0))
    uploads += NUMBERS if device.recordings else 0
    assert most(counts)[0] <= waits, device.waits
    assert most(counts)[1] <= uploads, device.uploads


def most(counts: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the most waits and uploads from a step to the next of its epoch. The first step makes what later steps use."""
    pairs = [(sooner, later) for sooner, later in pairwise(counts[1:]) if sooner[0] == later[0]]
    assert pairs
    return max(later[1] - sooner[1] for sooner, later in pairs), max(later[2] - sooner[2] for sooner, later in pairs)


@pytest.mark.parametrize("row", ["darts:bilevel", "enas", "ista_nas:two_stage", "sparse_nas:adam"])
def test_the_steps_of_a_resumed_search_do_not_wait(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of an optimiser that the host reads come back to the host."""
    monkeypatch.setattr(frame, "CHECKPOINT_SHARE", float("inf"))
    file = File(tmp_path / "search.ckpt", "a run")
    with Pretend() as device:
        made_search.shrink(monkeypatch, pretend_device.NAME)
        passes, resumed = Counter(), Counter()
        expected = made_search.search(row, made_search.view(device=pretend_device.NAME, meter=passes), batch=12)
        with pytest.raises(Killed):
            killed = made_search.view(device=pretend_device.NAME, checkpoint=file, meter=Counter(int(0.8 * passes.count)))
            made_search.search(row, killed, batch=12)
        counts = steps(monkeypatch, device)
        view = made_search.view(device=pretend_device.NAME, checkpoint=file, meter=resumed)
        assert made_search.search(row, view, batch=12) == expected
    assert resumed.count < passes.count and most(counts) == (0, 0), (device.waits, device.uploads)
