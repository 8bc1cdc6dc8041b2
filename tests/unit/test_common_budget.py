"""The protocols with one budget for every method, and the settings that they share among all methods."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import protocols, registry
from harness.errors import UserError
from harness.plan import Plan, make, preset
from harness.protocol import Part

COMMON = ("digits", "nb201-common", "nb1shot1-common")
"""Protocols with one limit per benchmark."""
PRESET = ("digits", "digits-own-schedules")
"""Protocols with the settings for few images."""
IMAGES = {"digits": 1024, "papers": 25_000}
"""Training images of a search on the digits, and of the papers' searches on CIFAR-10."""


@pytest.mark.parametrize("name", COMMON)
def test_the_limit_of_a_benchmark_is_one_number_for_all_rows(name: str) -> None:
    budgets: dict[str, set[tuple[str | None, float]]] = {}
    for part in protocols.protocol(name).parts:
        for benchmark in part.benchmarks if part.kind != "feature-maps" else ():
            rule = part.budget.on(benchmark, mean_cost=1.0)
            budgets.setdefault(benchmark, set()).add((rule["currency"], rule["limit"]))
            assert rule["policy"] == ("refuse" if part.kind == "multi-trial" else "fit")
            assert not rule["interpolate"]
    assert budgets and all(len(limits) == 1 for limits in budgets.values()), budgets


def test_all_benchmarks_of_the_digits_have_the_same_number_of_trainings() -> None:
    rules = [part.budget for part in protocols.protocol("digits").parts if part.kind != "feature-maps"]
    assert {(rule.currency, rule.limit) for rule in rules} == {("trainings", 10)}
    assert protocols.protocol("digits").seeds == 3
    assert all(part.seeds is None for part in protocols.protocol("digits").parts)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make(protocols.protocol("digits"))


def test_every_row_of_the_digits_is_planned_under_the_budget_or_not_defined_there(plan: Plan) -> None:
    for row in plan.rows:
        problem = plan.problem(row.spec)
        if row.spec.kind == "feature-maps":
            continue
        assert problem.mean_cost is not None
        assert row.spec.budget["currency"] == problem.clock_currency
        assert row.spec.budget["limit"] == 10 * problem.mean_cost
        assert len(row.runs) == 3
    kinds = ("is defined for", "needs a choice of", "takes one operation from each", "draws an operation for every edge")
    assert all(any(text in reason for text in kinds) for reason in plan.skipped.values()), plan.skipped


def sharing(*names: str) -> list[Part]:
    return [part for name in names for part in protocols.protocol(name).parts if part.kind == "one-shot"]


def test_no_length_of_a_schedule_is_set_for_the_digits() -> None:
    lengths = {"epochs", "continued", "settling", "warmup", "lr_period", "strength_step", "first_strength", "threshold"}
    for part in sharing(*PRESET, "smoke"):
        for row, values in part.settings.items():
            assert not lengths & values.keys() or part.budget.limit == 2, f"{row} sets {values}"


def test_batch_rate_and_clipping_are_the_same_for_all_methods_of_the_digits() -> None:
    (first, *others) = [part.settings["*"] for part in sharing(*PRESET)]
    assert set(first) == {"batch", "lr", "clip"}
    assert all(other == first for other in others)
    for part in sharing(*PRESET):
        assert not any(first.keys() & values.keys() for row, values in part.settings.items() if row != "*")
        constant = part.settings.get("ista_nas:one_stage", {"lr_end": first["lr"]})
        assert constant["lr_end"] == first["lr"], "the rate of one-stage ISTA-NAS is constant"


def test_the_rate_of_the_digits_has_the_lowest_mean_rank_of_the_losses_in_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "digits.md").read_text()
    (table,) = re.findall(r"^\| training loss \|.*?(?=^$)", text, re.MULTILINE | re.DOTALL)
    cells = [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in table.splitlines()]
    rates, losses, printed = cells[0][1:], pd.DataFrame([row[1:] for row in cells[2:-1]], dtype=float), cells[-1][1:]
    assert len(losses) == 11
    ranks = losses.rank(axis=1).mean()
    assert [f"{rank:.2f}" for rank in ranks] == printed
    assert float(rates[ranks.argmin()]) == sharing("digits")[0].settings["*"]["lr"]
    assert sum(ranks == ranks.min()) == 1


def papers(part: Part, method: str) -> Mapping[str, Any]:
    space = part.benchmarks[0].partition("/")[0]
    info = registry.method(method)
    return registry.settings(info, info.rows[0], space, {}, {})


def test_counts_are_the_papers_in_proportion_to_the_training_images() -> None:
    counts = 0
    for part in sharing(*PRESET):
        for method, values in part.settings.items():
            if method in ("*", "ista_nas:one_stage"):
                continue
            own = papers(part, method)
            for field, value in values.items():
                assert value == max(1, round(own[field] * IMAGES["digits"] / IMAGES["papers"])), f"{method}.{field}"
                counts += 1
    assert counts > 10


# -- the key for all methods -----------------------------------------------------------------------------------------------


def part_with(**settings: Mapping[str, Any]) -> Part:
    (part,) = [part for part in sharing("digits") if part.benchmarks == ("nb201/digits",)]
    return dataclasses.replace(part, settings=settings)


def test_settings_for_all_methods_reach_those_that_have_them() -> None:
    part = part_with(**{"*": {"lr": 0.3, "candidates": 7}})
    assert preset(part, "rsps") == preset(part, "rsps:nats_2021") == {"lr": 0.3, "candidates": 7}
    assert preset(part, "darts:erm") == {"lr": 0.3}
    assert preset(part, "random_cell") == {}
    assert preset(part, "my_own_method") == {}, "a method of the user keeps its settings"


def test_settings_of_a_method_and_of_a_row_win_over_those_for_all() -> None:
    part = part_with(**{"*": {"lr": 0.3, "clip": 1.0}, "darts": {"lr": 0.4}, "darts:erm": {"lr": 0.5}})
    rates = {row: preset(part, row)["lr"] for row in ("gdas", "darts:bilevel", "darts:erm")}
    assert rates == {"gdas": 0.3, "darts:bilevel": 0.4, "darts:erm": 0.5}
    assert preset(part, "darts:erm")["clip"] == 1.0


def test_a_setting_for_all_that_no_method_has_is_refused() -> None:
    with pytest.raises(UserError, match="sets 'learning_rate' for all one-shot methods, and none has such a setting"):
        preset(part_with(**{"*": {"learning_rate": 0.3}}), "rsps")


def test_a_method_file_of_the_user_keeps_its_settings_under_the_digits() -> None:
    mine = Path(__file__).parents[2] / "examples" / "my_weight_sharing.py"
    (row,) = make(protocols.protocol("digits"), methods=[str(mine)], benchmarks=["nb201/digits"], seeds=1).rows
    info = registry.method(str(mine))
    assert row.spec.settings == registry.settings(info, info.rows[0], "nb201", {}, {})
    assert row.spec.budget["policy"] == "fit"
