"""What a page says of each benchmark: its data, rules and budgets, by kind of method, and why rows have no runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness import registry
from harness.errors import UserError
from harness.plan import Opened, Plan, preset, rows_of
from reports.facts import NOT_YET, Part


def parts(plan: Plan, shown: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Return what is so of every benchmark and kind of method that the plan has opened, in the protocol's order.

    Args:
        shown: specifications of the stored rows on the page.
    """
    rows: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for spec in shown:
        rows.setdefault((spec["benchmark"], spec["kind"]), {})[spec["row"]] = spec
    places = [(benchmark, rules) for rules in plan.protocol.parts for benchmark in rules.benchmarks]
    searched = {benchmark for benchmark, _ in (*plan.opened, *plan.closed)}
    for benchmark, rules in places:  # the reasons of rows must not depend on which kind of method a command named
        if benchmark in searched:
            try:
                plan.open(rules, benchmark)
            except UserError as error:
                plan.closed[benchmark, rules.kind] = str(error)
    found = []
    for benchmark, rules in places:
        key = benchmark, rules.kind
        if key in plan.opened:
            found.append(_opened(plan, plan.opened[key], rows.get(key, {})))
        elif key in plan.closed:
            found.append(Part(benchmark, rules.kind, skipped=dict.fromkeys(rows_of(rules), plan.closed[key])))
    return found


def _opened(plan: Plan, opened: Opened, shown: Mapping[str, Mapping[str, Any]]) -> Part:
    problem, rules, benchmark = opened.problem, opened.part, opened.benchmark
    judge = problem.judge
    one_shot = rules.kind == "one-shot"
    clock = problem.training.clock if problem.training and one_shot and shown else None  # fitted when asked for
    planned = [row for row in plan.rows if (row.spec.benchmark, row.spec.kind) == (benchmark, rules.kind)]
    skipped = {row: reason for (*place, row), reason in plan.skipped.items() if place == [benchmark, rules.kind]}
    missing = _without_runs(opened, plan.device) | {row.spec.row: NOT_YET for row in planned} | skipped
    return Part(
        benchmark=benchmark,
        kind=rules.kind,
        budget=_budget(rules.budget.on(benchmark, problem.mean_cost)),
        search=problem.facts.search,
        record=problem.record,
        clock=problem.facts.clock,
        supernet_clock=problem.facts.supernet_clock if one_shot else "",
        estimate=dict(clock.facts) if clock else {},
        judge={target: problem.facts.judge[target] for target in judge.optimum},
        optimum=judge.optimum,
        worst=judge.worst,
        stated_set=judge.stated_set,
        set_size=judge.set_size,
        references=tuple(
            {"split": row.split, "name": row.name, "error": row.error, "kept": row.least} for row in judge.references
        ),
        table=problem.facts.source,
        checksum=problem.checksum[:16],
        planned={row.spec.row: len(row.runs) for row in planned},
        skipped={row: reason for row, reason in missing.items() if row not in shown},
        settings={row: spec["settings"] for row, spec in shown.items()},
    )


def _without_runs(opened: Opened, device: str) -> dict[str, str]:
    """Return why each row of the protocol's part cannot run here, or that it only was not run."""
    reasons = {}
    for row, info in rows_of(opened.part).items():
        try:
            values = registry.settings(info, row, opened.problem.space.name, preset(opened.part, row), {})
            reasons[row] = opened.obstacle(registry.build(info, values), device) or NOT_YET
        except UserError as error:
            reasons[row] = str(error)
    return reasons


def _budget(rule: Mapping[str, Any]) -> str:
    if rule["currency"] is None:
        return "each method's own schedule"
    policy = {"refuse": "the query that would cross is not made", "allow_last": "the query that crosses is the last"}
    at = ", result interpolated at the limit" if rule["interpolate"] else ""
    amount = f"{rule['limit']:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{amount} {rule['currency']} ({policy[rule['policy']]}{at})"
