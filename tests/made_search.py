"""A weight-sharing search that takes a second: the real supernet and loaders on a few small digits, without a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.images import task as images
from benchmarks.images.augment import Resident
from benchmarks.nb201 import task as nb201
from benchmarks.nb201.clock import Clock, Fit
from benchmarks.nb201.macro import Macro
from benchmarks.nb201.space import NB201Space
from benchmarks.nb201.training import NB201TrainingSide
from harness import registry
from harness.budget import Ledger
from harness.space import Arch
from harness.testing.toy import ToyProblem
from harness.training import Meter
from tests.recorded import RecordedView

MACRO = Macro(width=2, depth=1, channels=1, size=8, stem=1, reduction="pool")
CLOCK = Clock(
    Fit(1e-3, (0.0, 1e-4, 2e-4, 5e-4, 3e-4), 0.99, 1e-5, 100), Fit(1e-4, (0.0, 1e-5, 2e-5, 5e-5, 3e-5), 0.99, 1e-6, 100)
)
SIZES = {"train": 32, "valid": 16}
TINY = {
    "epochs": 2,
    "batch": 16,
    "candidates": 3,
    "selection_batch": 16,
    "controller_steps": 2,
    "controller_samples": 2,
    "measurements": 8,
    "measured_batches": 1,
    "threshold": 10.0,
    "penalty": 0.05,
    "warmup": 0.5,
}
"""Settings of every method that has them. With a larger penalty, the Lasso of CoNAS has no terms on so few images."""


def shrink(monkeypatch: pytest.MonkeyPatch, device: str = "cpu") -> None:
    """Let searches on digits train on few images and a narrow network."""
    sets = images.residents("digits", "nb201", "cpu")

    def first(part: Resident, count: int) -> Resident:
        fields = (part.images[:count], part.labels[:count], part.scale, part.shift)
        return Resident(*(field.to(device) for field in fields))

    parts = {name: first(sets[name], count) for name, count in (*SIZES.items(), ("full", sum(SIZES.values())))}
    monkeypatch.setattr(images, "residents", lambda *_: parts)
    monkeypatch.setitem(nb201.MACROS, "digits", MACRO)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """See :func:`shrink`."""
    shrink(monkeypatch)


class NB201Toy(ToyProblem):
    """What :meth:`Method.skip` reads of NAS-Bench-201."""

    space = NB201Space()
    training = NB201TrainingSide("digits", "digits", 12, Path())


def rows() -> list[str]:
    """Return every row of weight sharing that NAS-Bench-201 can run. A random cell trains no weights."""
    sharing = [info for info in registry.methods().values() if info.kind == "one-shot" and info.name != "random_cell"]
    return [row for info in sharing for row in info.rows if not skipped(row)]


def skipped(row: str, **changes: Any) -> str | None:
    """Return why the space cannot run a row, or None."""
    reason: str | None = method(row, **changes).skip(NB201Toy())
    return reason


def method(row: str, **changes: Any) -> Any:
    """Return the method of a row with a tiny schedule."""
    info = registry.method(row.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(info.cls)}
    tiny = {name: value for name, value in TINY.items() if name in fields}
    if row != "gaea_gdas:released":
        tiny.pop("warmup", None)
    if row.startswith("ista"):
        tiny.pop("penalty")
    return registry.build(info, registry.settings(info, row, "nb201", {**tiny, **changes}, {}))


def view(
    seed: int = 0,
    checkpoint: Any = None,
    meter: Callable[[Meter], Meter] = lambda charge: charge,
    ledger: Ledger | None = None,
    device: str = "cpu",
) -> RecordedView:
    """Return a view whose task charges through ``meter``."""

    def task(world: int, device: str, charge: Meter) -> nb201.NB201Task:
        return nb201.NB201Task("digits", CLOCK, world, device, meter(charge))

    opened = partial(task, 7, device)
    return RecordedView(NB201Space(), ledger or Ledger(), None, seed, "self", task=opened, checkpoint=checkpoint)


def search(row: str, search_view: RecordedView | None = None, **changes: Any) -> tuple[Arch, Mapping[str, Any]]:
    """Return the final cell, and the trace and the ledger of the search."""
    current = search_view or view()
    arch = method(row, **changes).search(current)
    trace = current.trace
    return arch, {"proposals": trace.proposals, "scalars": repr(trace.scalars), "spent": current.ledger.snapshot()}
