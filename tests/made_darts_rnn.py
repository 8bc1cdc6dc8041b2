"""A search for recurrent cells that takes a second: the real supernet and loaders on a short invented text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from benchmarks.darts_rnn import task as tasks
from benchmarks.darts_rnn.dropout import Dropout
from benchmarks.darts_rnn.retrainer import Retrainer
from benchmarks.darts_rnn.space import RnnSpace
from benchmarks.darts_rnn.task import RnnTask, Settings
from benchmarks.darts_rnn.training import RnnTrainingSide
from harness import registry
from harness.budget import Ledger
from harness.space import Arch
from harness.testing.toy import ToyProblem
from harness.training import Meter
from tests import made_ptb
from tests.made_search import TINY
from tests.recorded import RecordedView

SPACE = RnnSpace("mixed")
SETTINGS = Settings(8, 12, Dropout(0.0, 0.1, 0.1, 0.1, 0.1))
SEARCHED = dataclasses.replace(SETTINGS, length=4, evaluated=8)
"""Few tokens one after the other, for speed."""
SMALL = {
    **TINY,
    "batch": 96,
    "lr": 5.0,
    "lr_end": 5.0,
    "momentum": 0.0,
    "nesterov": False,
    "clip": 0.25,
    "track_stats": True,
    "selection_batch": 512,
    "selection_batches": 1,
    "finalists": 2,
    "rounds": 1,
    "probed": 2,
}


class RnnToy(ToyProblem):
    """What :meth:`Method.skip` reads of the space."""

    space = SPACE
    training = RnnTrainingSide("ptb")
    retraining = Retrainer("ptb")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks open the short invented text."""
    monkeypatch.setattr(tasks, "corpus", lambda name: made_ptb.SHORT)


def rows() -> list[str]:
    """Return every row of weight sharing that the space can run."""
    return [row for info in registry.methods().values() if info.kind == "one-shot" for row in info.rows if not skipped(row)]


def skipped(row: str) -> str | None:
    reason: str | None = method(row).skip(RnnToy())
    return reason


def method(row: str, **changes: Any) -> Any:
    """Return the method of a row with a tiny schedule."""
    info = registry.method(row.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(info.cls)}
    tiny = {name: value for name, value in SMALL.items() if name in fields}
    if row.startswith("ista"):
        tiny.pop("penalty")
    if row != "gaea_gdas:released":
        tiny.pop("warmup", None)
    return registry.build(info, registry.settings(info, row, SPACE.name, {**tiny, **changes}, {}))


def task(world: int = 7, charge: Meter = lambda *_, **__: None, settings: Settings = SETTINGS) -> RnnTask:
    return RnnTask("ptb", world, "cpu", charge, settings)


def view(
    seed: int = 0,
    checkpoint: Any = None,
    meter: Callable[[Meter], Meter] = lambda charge: charge,
    ledger: Ledger | None = None,
    settings: Settings = SEARCHED,
) -> RecordedView:
    """Return a view whose task charges through ``meter``."""

    def opened(world: int, charge: Meter) -> RnnTask:
        return task(world, meter(charge), settings)

    return RecordedView(SPACE, ledger or Ledger(), None, seed, "self", task=partial(opened, 7), checkpoint=checkpoint)


def search(row: str, search_view: RecordedView | None = None, **changes: Any) -> tuple[Arch, Mapping[str, Any]]:
    """Return the last proposal, and the trace and the ledger of the search."""
    current = search_view or view()
    returned = method(row, **changes).search(current)
    if returned is not None:
        current.propose(returned)
    trace = current.trace
    return trace.proposals[-1].arch, {
        "proposals": trace.proposals,
        "scalars": repr(trace.scalars),
        "spent": current.ledger.snapshot(),
    }
