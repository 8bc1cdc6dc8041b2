"""A plan is priced from what is stored; what is unknown is said to be, or timed on request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import pytest

from harness import machine, pricing
from harness.engine import Finished, Job, UnderWay
from harness.outcome import Result
from harness.plan import Plan, PlannedRow
from harness.protocol import Protocol
from tests.unit.test_store import RUNS, SPEC

BUDGET = {**SPEC.budget, "currency": "seconds", "limit": 100.0}
ROWS = [
    dataclasses.replace(SPEC, row=name, budget=BUDGET) for name in ("known", "unknown", "greedy", "broken", "small", "done")
]


@pytest.fixture
def plan() -> Plan:
    rows = [PlannedRow(spec, [spec.run(world) for world in range(4)]) for spec in ROWS]
    rows[-1].done = {run.run_id for run in rows[-1].runs}
    return Plan(Protocol("p", "P", len(RUNS), 60.0, {}, ()), rows)


COSTS = {ROWS[0].identity: (2, 60.0)}


def test_a_dry_run_prices_from_the_store_and_starts_nothing(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pricing, "local", None)
    pricing.show(plan, COSTS, workers=2)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    by_row = {line[0]: line for line in lines}
    assert by_row["known"] == ["known", "0", "4", "100", "charged", "seconds", "2", "min"]
    assert by_row["unknown"][-4:] == ["unknown:", "--price", "measures", "it"]
    assert by_row["done"] == ["done", "4", "0", "100", "charged", "seconds", "done"]
    assert " ".join(by_row["total"]) == "total 4 20 60 s on 2 workers, and 16 runs of unknown price"


@pytest.mark.parametrize(
    ("limit", "text"), [(1e9, "1e+09 charged solver_calls"), (1.25e4, "12,500 charged solver_calls"), (0.016, "0.016 charged")]
)
def test_a_budget_of_any_size_is_legible(limit: float, text: str, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    rule = {**BUDGET, "currency": "solver_calls", "limit": limit}
    plan.rows = [PlannedRow(dataclasses.replace(SPEC, row="row", budget=rule), [SPEC.run(0)])]
    pricing.show(plan, {}, workers=2)
    assert f"{text} " in capsys.readouterr().out


def test_a_price_is_measured_only_for_rows_that_have_none(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {
        "unknown": Result("x", "sampled", wall_seconds=10.0),
        "greedy": Result("x", "failed", error="RuntimeError: DefaultCPUAllocator: can't allocate memory"),
        "broken": Result("x", "failed", error="KeyError: 'a'"),
        "small": Result("x", "too_small", error="needs at least 9.1 seconds"),
    }

    def local(jobs: Iterable[Job], workers: int) -> Iterator[Finished | UnderWay]:
        for job in jobs:
            yield [(job.row.identity, 0.1)]
            yield job.row, job.runs[0], results[job.row.row]

    monkeypatch.setattr(pricing, "local", local)
    monkeypatch.setattr(machine, "free_memory", lambda: 0)
    pricing.measure(plan, COSTS, workers=2)
    shown = capsys.readouterr().out
    assert [line.strip() for line in shown.splitlines()] == [
        "timing the start of 4 rows (Ctrl-C stops it):",
        "toy/x  unknown  10 s each, 40 s in all",
        "toy/x  greedy   needs more than 0.0 GB, the share of one worker",
        "toy/x  broken   fails at its first search",
        "toy/x  small    the budget is too small: it needs at least 9.1 seconds",
        "total           80 s on 2 workers",
    ]


def test_a_plan_of_which_nothing_is_known_has_no_total(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    pricing.show(plan, {}, workers=2)
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=3)[-1] == "20 runs of unknown price"
