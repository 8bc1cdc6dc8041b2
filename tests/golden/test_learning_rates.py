"""Learning rates and warm-ups of the papers' protocols, per epoch, as they were when schedules were stated in epochs.

``learning_rates.json`` has the numbers: by schedule the rates of some epochs, the sum of all rates, the epochs of warm-up, and
the rows that have this schedule under each protocol and space.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness import protocols, registry
from harness.budget import Ledger, Spending
from harness.plan import preset, rows_of
from harness.schedule import Schedule
from methods.one_shot.parts.search import Search

SCHEDULES = json.loads(Path(__file__).with_name("learning_rates.json").read_text())
CASES = [
    (place, row, schedule) for schedule in SCHEDULES for place, rows in schedule["rows"].items() for row in rows.split(" ")
]


def resolved(place: str, row: str) -> Any:
    name, space = place.split(" ")
    for part in protocols.protocol(name).parts:
        if part.kind == "one-shot" and row in rows_of(part):
            info = registry.method(row.partition(":")[0])
            return registry.build(info, registry.settings(info, row, space, preset(part, row), {}))
    raise AssertionError(f"{row} is no row of {name}")


@pytest.mark.parametrize(("place", "row", "expected"), CASES, ids=[f"{place} {row}" for place, row, _ in CASES])
def test_the_rates_of_each_epoch_are_the_papers(place: str, row: str, expected: dict[str, Any]) -> None:
    method = resolved(place, row)
    search = cast("Search", SimpleNamespace(settings=method))
    schedule = Schedule(Spending(Ledger()), method.epochs)
    rates, warmup = [], 0
    for _ in schedule.epochs():
        rates.append(Search._cosine(search, schedule.position))
        warmup += schedule.share < getattr(method, "warmup", 0.0)
    assert (len(rates), warmup) == (expected["epochs"], expected["warmup"])
    assert {epoch: rates[int(epoch)] for epoch in expected["rates"]} == pytest.approx(expected["rates"], abs=1e-12)
    assert math.fsum(rates) == pytest.approx(expected["sum"], abs=1e-10)


def test_every_row_that_trains_under_a_comparable_protocol_is_listed() -> None:
    rows = {
        (rules.name, row)
        for rules in protocols.protocols().values()
        for part in rules.parts
        if rules.paper and part.kind == "one-shot"
        for row in rows_of(part)
        if not row.startswith("random_cell")
    }
    assert rows == {(place.split(" ")[0], row) for place, row, _ in CASES}
