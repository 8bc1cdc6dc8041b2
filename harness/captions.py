"""Collect the facts of a page: data, rules and budgets of each benchmark, missing rows, and provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isclose
from typing import Any

from harness import hyperparameters, registry
from harness.analysis.evidence import NOT_YET, WEIGHT_SHARING, Page, Part, Reference, Session
from harness.analysis.names import row_names
from harness.errors import UserError
from harness.method import MethodInfo
from harness.plan import Opened, Plan, preset, rows_of


def page(
    plan: Plan,
    shown: Sequence[Mapping[str, Any]],
    left_out: Mapping[str, Sequence[str]],
    sessions: Iterable[tuple[Mapping[str, Any], int]],
    provenance: Mapping[str, Any],
) -> Page:
    """Return the facts of a page.

    Args:
        shown: specifications of the stored rows on the page.
        left_out: by reason, the stored rows that are not on the page.
        sessions: provenance of each session that made runs, and the number of its runs on the page.
        provenance: of the command that writes the page.
    """
    methods = {**registry.methods(), **{info.name: info for info in map(_method, shown) if info is not None}}
    rows = [(info, row) for info in methods.values() for row in info.rows]
    return Page(
        protocol=plan.protocol.name,
        title=plan.protocol.title,
        comparable=plan.protocol.comparable,
        modified=plan.protocol.modified,
        parts=tuple(parts(plan, shown)),
        left_out=left_out,
        known_rows=tuple(row for info in sorted(registry.methods().values(), key=_order) for row in sorted(info.rows)),
        names=row_names(),
        first_rows=first_rows(methods),
        compared_with={row: base for info, row in rows if (base := base_row(info, row, methods))},
        citations={name: info.citations for info in methods.values() for name in (info.name, *info.rows)},
        sessions=tuple(_session(session, runs) for session, runs in sessions),
        writer=_session(provenance),
    )


def _order(info: MethodInfo) -> tuple[str, str]:
    return info.kind, info.name


def _method(spec: Mapping[str, Any]) -> MethodInfo | None:
    try:
        return registry.method(spec["method"])
    except UserError:
        return None


def _defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that a method has if nothing sets them, as a specification stores values."""
    info = _method(spec)
    types = hyperparameters.types_of(info.cls) if info else {}
    values = hyperparameters.defaults(info.cls) if info else {}
    return {name: hyperparameters.to_plain(value, types[name], name) for name, value in values.items()}


def _remark(spec: Mapping[str, Any], space: str) -> str:
    info = _method(spec)
    return info.remarks.get(space, "") if info else ""


def first_rows(methods: Mapping[str, MethodInfo]) -> dict[str, str]:
    """Return the first row of each method that has no row of its name: what the name means if a change replaced a variant."""
    return {info.name: info.rows[0] for info in methods.values() if info.name not in info.rows}


def base_row(info: MethodInfo, row: str, methods: Mapping[str, MethodInfo]) -> str:
    """Return the row that a report draws ``row`` with, or ``""``.

    If the method names another method that has a variant of the same name, return that variant: ``darts`` means
    ``darts:erm`` for ``gaea_darts:erm``.
    """
    base = info.compared_with
    same_variant = f"{base}:{row.partition(':')[2]}"
    return same_variant if base in methods and same_variant in methods[base].rows else base


def _session(provenance: Mapping[str, Any], runs: int = 0) -> Session:
    host = provenance["host"]
    return Session(
        command=provenance["command"],
        code=provenance["code"],
        date=provenance["date"],
        host="; ".join(f"{name}: {text}" for name, text in host.items()),
        processor=str(host.get("processor") or ""),
        accelerator=str(host.get("accelerator") or ""),
        packages={name: str(version) for name, version in (provenance.get("packages") or {}).items()},
        runs=runs,
        id=provenance.get("id", 0),
    )


def parts(plan: Plan, shown: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Return the facts of every benchmark and kind of method that the plan has opened, in the protocol's order.

    Args:
        shown: specifications of the stored rows on the page.
    """
    rows: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for spec in shown:
        rows.setdefault((spec["benchmark"], spec["kind"]), {})[spec["row"]] = spec
    pairs = [(benchmark, rules) for rules in plan.protocol.parts for benchmark in rules.benchmarks]
    searched = {benchmark for benchmark, _ in (*plan.opened, *plan.closed)}
    for benchmark, rules in pairs:  # the reasons of rows must not depend on which kind of method a command named
        if benchmark in searched:
            try:
                plan.open(rules, benchmark)
            except UserError as error:
                plan.closed[benchmark, rules.kind] = str(error)
    described = []
    for benchmark, rules in pairs:
        key = benchmark, rules.kind
        if key in plan.opened:
            described.append(_opened(plan, plan.opened[key], rows.get(key, {})))
        elif key in plan.closed:
            described.append(Part(benchmark, rules.kind, skipped=dict.fromkeys(rows_of(rules), plan.closed[key])))
    return described


def _opened(plan: Plan, opened: Opened, shown: Mapping[str, Mapping[str, Any]]) -> Part:
    problem, rules, benchmark = opened.problem, opened.part, opened.benchmark
    judge = problem.judge
    shares_weights = rules.kind == WEIGHT_SHARING
    clock = problem.training.clock if problem.training and shares_weights and shown else None  # reading it may fit the clock
    planned = [row for row in plan.rows if (row.spec.benchmark, row.spec.kind) == (benchmark, rules.kind)]
    skipped = {row: reason for (*place, row), reason in plan.skipped.items() if place == [benchmark, rules.kind]}
    missing = _without_runs(opened, plan.device) | {row.spec.row: NOT_YET for row in planned} | skipped
    return Part(
        benchmark=benchmark,
        kind=rules.kind,
        budget=_budget(opened.budget, problem.mean_cost if opened.budget["currency"] == problem.clock_currency else None),
        at_the_limit=_at_the_limit(opened.budget),
        training_seconds=(problem.mean_cost if problem.clock_currency == "seconds" else None) or float("nan"),
        search=problem.facts.search,
        record=problem.record,
        clock=problem.facts.clock,
        supernet_clock=problem.facts.supernet_clock if shares_weights else "",
        estimate=dict(clock.facts) if clock else {},
        judge={target: problem.facts.judge[target] for target in judge.optimum},
        optimum=judge.optimum,
        worst=judge.worst,
        stated_set=judge.stated_set,
        set_size=judge.set_size,
        references=tuple(Reference(row.split, row.name, row.error, row.least) for row in judge.references),
        table=problem.facts.source,
        checksum=problem.checksum[:16],
        citations=problem.space.citations,
        planned={row.spec.row: len(row.runs) for row in planned},
        skipped={row: reason for row, reason in missing.items() if row not in shown},
        settings={row: spec["settings"] for row, spec in shown.items()},
        defaults={row: _defaults(spec) for row, spec in shown.items()},
        images={row: spec["trained_on"] for row, spec in shown.items() if spec.get("trained_on")},
        remarks={row: text for row, spec in shown.items() if (text := _remark(spec, problem.space.name))},
    )


def _without_runs(opened: Opened, device: str) -> dict[str, str]:
    """Return by row of the protocol's part why it cannot run here, or that it was not run yet."""
    reasons = {}
    for row, info in rows_of(opened.part).items():
        try:
            values = registry.settings(info, row, opened.problem.space.name, preset(opened.part, row), {})
            reasons[row] = opened.obstacle(registry.build(info, values), device) or NOT_YET
        except UserError as error:
            reasons[row] = str(error)
    return reasons


def _budget(rule: Mapping[str, Any], mean_cost: float | None) -> str:
    """Return the limit in words; also in mean trainings if it is a multiple of their price ``mean_cost``."""
    if rule["currency"] is None:
        return "each method's own schedule"
    limit = rule["limit"]
    amount = f"{limit:,.0f}" if 100 <= limit < 1e7 or limit % 1 == 0 else f"{limit:.3g}"
    text = f"{amount} {rule['currency']}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    trainings = limit / mean_cost if mean_cost else 0.0
    return f"{trainings:.0f} mean trainings, {text}" if trainings and isclose(trainings, round(trainings)) else text


def _at_the_limit(rule: Mapping[str, Any]) -> str:
    if rule["currency"] is None:
        return ""
    policy = {
        "refuse": "the query that would cross is not made",
        "allow_last": "the query that crosses is the last",
        "fit": "schedules are fitted to it",
    }
    return policy[rule["policy"]] + (", result interpolated at the limit" if rule["interpolate"] else "")
