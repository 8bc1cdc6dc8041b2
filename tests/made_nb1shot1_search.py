"""A weight-sharing search on a 1Shot1 space that takes a second: the real supernet and loaders on a few small digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.clock import Clock
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro
from harness import registry
from harness.budget import Ledger
from harness.space import Arch
from harness.training import Meter
from tests import made_search
from tests.recorded import RecordedView

CLOCK = Clock(700.0, 1e-4, (10.0, 5.0, 20.0), r2=0.9, median_error=0.1, cells=100)
TINY = {
    "epochs": 3,
    "batch": 16,
    "warmup": 0.3,
    "candidates": 3,
    "selection_batch": 16,
    "selection_batches": 2,
    "finalists": 2,
    "controller_steps": 2,
    "controller_size": 8,
}
ROWS = (
    "darts:bilevel",
    "darts:second_order",
    "pc_darts",
    "gdas",
    "rsps",
    "enas",
    "gaea_darts:bilevel",
    "gaea_pc_darts",
)
"""The rows that the papers run on these spaces."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches train on few images and a narrow network: two stacks with one cell each."""
    made_search.shrink(monkeypatch)
    monkeypatch.setitem(nb1shot1.MACROS, "digits", (SearchMacro(width=4, channels=1, stacks=2, depth=1), 8))


def method(row: str, **changes: Any) -> Any:
    """Return the method of a row with a tiny schedule."""
    info = registry.method(row.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(info.cls)}
    tiny = {name: value for name, value in TINY.items() if name in fields}
    return registry.build(info, registry.settings(info, row, "nb1shot1", {**tiny, **changes}, {}))


def view(
    number: int = 1,
    checkpoint: Any = None,
    meter: Callable[[Meter], Meter] = lambda charge: charge,
    seed: int = 0,
    ledger: Ledger | None = None,
    device: str = "cpu",
) -> RecordedView:
    """Return a view of a space whose task charges through ``meter``."""
    space = NB1Shot1Space(number)

    def task(world: int, device: str, charge: Meter) -> nb1shot1.NB1Shot1Task:
        return nb1shot1.NB1Shot1Task("digits", space, CLOCK, world, device, meter(charge))

    return RecordedView(space, ledger or Ledger(), None, seed, "self", task=partial(task, 7, device), checkpoint=checkpoint)


def search(row: str, search_view: RecordedView | None = None, **changes: Any) -> tuple[Arch | None, Mapping[str, Any]]:
    """Return the result of the search, its trace and its ledger."""
    current = search_view or view()
    arch = method(row, **changes).search(current)
    trace = current.trace
    return arch, {"proposals": trace.proposals, "scalars": repr(trace.scalars), "spent": current.ledger.snapshot()}
