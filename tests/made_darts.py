"""A search in the DARTS space that takes a second: the real supernet and loaders on a few small digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.darts.macro import Macro
from benchmarks.darts.retrainer import Retrainer
from benchmarks.darts.space import DartsSpace
from benchmarks.darts.task import DartsTask
from benchmarks.darts.training import DartsTrainingSide
from harness import registry
from harness.budget import Ledger
from harness.space import Arch
from harness.testing.toy import ToyProblem
from harness.training import Meter
from tests.made_search import TINY
from tests.recorded import RecordedView

SPACE = DartsSpace("single", accepts="mixed")
MACRO = Macro(width=4, depth=3, channels=1, size=8, auxiliary=False)
SMALL = {
    **TINY,
    "batch": 32,
    "partial": 2,
    "penalty": 0.5,
    "selection_batches": 1,
    "finalists": 2,
    "rounds": 2,
    "continued": 1,
    "auxiliary": 0.0,
    "largest": 0.0,
    "cutout": 0,
    "target_cells": 3,
    "target_channels": 4,
}


class DartsToy(ToyProblem):
    """What :meth:`Method.skip` reads of the DARTS space."""

    space = SPACE
    training = DartsTrainingSide("digits")
    retraining = Retrainer("digits")


def rows() -> list[str]:
    """Return every row of weight sharing that the DARTS space can run."""
    return [row for info in registry.methods().values() if info.kind == "one-shot" for row in info.rows if not skipped(row)]


def skipped(row: str) -> str | None:
    reason: str | None = method(row).skip(DartsToy())
    return reason


def method(row: str, **changes: Any) -> Any:
    """Return the method of a row with the settings of the space and a tiny schedule."""
    info = registry.method(row.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(info.cls)}
    tiny = {name: value for name, value in SMALL.items() if name in fields}
    if row.startswith("ista"):
        tiny.pop("penalty")
    return registry.build(info, registry.settings(info, row, SPACE.name, {**tiny, **changes}, {}))


def view(
    seed: int = 0,
    checkpoint: Any = None,
    meter: Callable[[Meter], Meter] = lambda charge: charge,
    ledger: Ledger | None = None,
    device: str = "cpu",
) -> RecordedView:
    """Return a view whose task charges through ``meter``."""

    def task(world: int, device: str, charge: Meter) -> DartsTask:
        return DartsTask("digits", world, device, meter(charge))

    return RecordedView(SPACE, ledger or Ledger(), None, seed, "self", task=partial(task, 7, device), checkpoint=checkpoint)


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
