"""A weight-sharing search that takes a second: the real supernet and loaders on few small digits, without a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from benchmarks.images import task as images
from benchmarks.images.augment import Resident
from benchmarks.nb201 import task as nb201
from benchmarks.nb201.clock import Clock, Fit
from benchmarks.nb201.macro import Macro
from benchmarks.nb201.space import NB201Space
from harness import registry
from harness.budget import Budget
from harness.problem import Arch, Meter, SearchView

MACRO = Macro(width=2, depth=1, channels=1, size=8, stem=1, reduction="pool")
CLOCK = Clock(
    Fit(1e-3, (0.0, 1e-4, 2e-4, 5e-4, 3e-4), 0.99, 1e-5, 100), Fit(1e-4, (0.0, 1e-5, 2e-5, 5e-5, 3e-5), 0.99, 1e-6, 100)
)
SIZES = {"train": 32, "valid": 16}
TINY = {
    **{"epochs": 2, "batch": 16, "candidates": 3, "selection_batch": 16, "controller_steps": 2, "controller_samples": 2},
    **{"measurements": 8, "measured_batches": 1, "threshold": 10.0, "penalty": 0.05, "warmup": 1},
}
"""Settings of every method, where it has them; a penalty near the losses of few images leaves CoNAS something to keep."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits' searches train on few images and a narrow network."""
    whole = images.residents("digits", "nb201", "cpu")

    def first(part: Resident, count: int) -> Resident:
        return dataclasses.replace(part, images=part.images[:count], labels=part.labels[:count])

    parts = {name: first(whole[name], count) for name, count in (*SIZES.items(), ("full", sum(SIZES.values())))}
    monkeypatch.setattr(images, "residents", lambda *_: parts)
    monkeypatch.setitem(nb201.MACROS, "digits", MACRO)


def rows() -> list[str]:
    """Every row of weight sharing that NAS-Bench-201 can run."""
    return [row for info in registry.methods().values() if info.kind == "one-shot" for row in info.rows if not skipped(row)]


def skipped(row: str) -> str | None:
    """Why the space cannot run a row."""
    problem = type("Problem", (), {"space": NB201Space(), "task": type("Task", (), {"choices": ("affine",)})()})()
    reason: str | None = method(row).skip(problem)
    return reason


def method(row: str, **changes: Any) -> Any:
    """The row's method with a tiny schedule."""
    info = registry.method(row.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(info.cls)}
    tiny = {name: value for name, value in TINY.items() if name in fields}
    if row != "gaea_gdas:released":
        tiny.pop("warmup", None)
    if row.startswith("ista"):
        tiny.pop("penalty")
    return registry.build(info, registry.settings(info, row, "nb201", {**tiny, **changes}, {}))


def view(seed: int = 0, checkpoint: Any = None, meter: Callable[[Meter], Meter] = lambda charge: charge) -> SearchView:
    """A view whose task charges through ``meter``."""

    def task(world: int, device: str, charge: Meter) -> nb201.NB201Task:
        return nb201.NB201Task("digits", CLOCK, world, device, meter(charge))

    return SearchView(NB201Space(), Budget(), None, seed, "self", task=partial(task, 7, "cpu"), checkpoint=checkpoint)


def search(row: str, given: SearchView | None = None, **changes: Any) -> tuple[Arch, Mapping[str, Any]]:
    """The final cell, and everything else that a search leaves."""
    mine = given or view()
    arch = method(row, **changes).search(mine)
    trace = mine._trace
    return arch, {"proposals": trace.proposals, "scalars": repr(trace.scalars), "spent": mine._ledger.snapshot()}
