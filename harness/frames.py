"""From the store to the plain data frames and facts that a report is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.plan import Plan, RowSpec
from harness.problem import Problem
from harness.protocol import Protocol
from harness.store import Store

_SHARED = ("protocol", "benchmark", "budget", "search", "judge", "checksum", "record")
"""Fields of a row specification that must agree for rows to stand in one table."""


@dataclass(frozen=True)
class Evidence:
    """What a report is made of; see ``reports.write``."""

    runs: pd.DataFrame
    traces: list[dict[str, Any]]
    facts: dict[str, Any]


def collect(plan: Plan, store: Store, provenance: Mapping[str, Any]) -> Evidence:
    """Everything in the store that was made under the plan's protocol on the plan's data, whichever command made it."""
    rows: list[dict[str, Any]] = []
    traces: list[dict[str, Any]] = []
    sessions: set[int] = set()
    for identity, row, benchmark in _identities(plan, store):
        targets = list(plan.problems[benchmark].judge.optimum)
        for one in store.rows(identity):
            sessions.add(one["session"])
            shared = {
                "run_id": one["run_id"],
                "protocol": plan.protocol.name,
                "benchmark": benchmark,
                "row": row,
                "method": row.partition(":")[0],
                "label": "",
                "world": one["world"],
                "status": one["status"],
                "error": one["error"],
                "arch": one["arch"],
                "queries": one["spent"].get("queries", 0),
                "seconds": one["spent"].get("seconds", np.nan),
                "wall_seconds": one["wall_seconds"],
            }
            for target in targets:
                scores = one["scores"].get(target, {}) if one["status"] == "done" else {}
                metrics = {name: scores.get(name, np.nan) for name in ("test", "valid", "regret", "rank")}
                rows.append({**shared, "target": target, **metrics})
            if one["status"] == "done":
                traces.append(_trace(one, row, benchmark, plan.problems[benchmark]))
    facts = _facts(plan, provenance)
    facts["sessions"] = [
        {"date": made["date"], "command": made["command"], "code": made["code"], "host": made["host"]}
        for made in store.sessions(sessions)
    ]
    return Evidence(pd.DataFrame(rows), traces, facts)


def _identities(plan: Plan, store: Store) -> Iterator[tuple[str, str, str]]:
    """(identity, row, benchmark): the plan's own rows, and other rows in the store that were made under the same terms."""
    current = {(row.spec.benchmark, row.spec.row): row.spec for row in plan.rows}
    terms = {row.spec.benchmark: _terms(row.spec) for row in plan.rows}
    others = {}
    for identity, fields in store.specs().items():
        spec = RowSpec(**fields)
        if (spec.benchmark, spec.row) not in current and terms.get(spec.benchmark) == _terms(spec):
            others[spec.benchmark, spec.row] = identity  # the newest version of that row
    for (benchmark, row), planned in current.items():
        yield planned.identity, row, benchmark
    for (benchmark, row), identity in others.items():
        yield identity, row, benchmark


def _terms(spec: RowSpec) -> tuple[Any, ...]:
    return tuple(getattr(spec, name) for name in _SHARED)


def _trace(one: Mapping[str, Any], row: str, benchmark: str, problem: Problem) -> dict[str, Any]:
    columns = one["trace"]
    optimum = problem.judge.optimum
    return {
        "row": row,
        "benchmark": benchmark,
        "world": one["world"],
        "seconds": columns["proposal_seconds"],
        "end": one["spent"]["seconds"],
        "regret": {target: best - columns[f"{target}/test"] for target, best in optimum.items() if f"{target}/test" in columns},
    }


def _facts(plan: Plan, provenance: Mapping[str, Any]) -> dict[str, Any]:
    protocol: Protocol = plan.protocol
    problems = list(plan.problems.values())
    return {
        "protocol": protocol.name,
        "title": protocol.title,
        "comparable": protocol.comparable,
        "modified": protocol.modified,
        "budget": "; ".join(dict.fromkeys(_budget(row.spec.budget) for row in plan.rows)),
        "policy": "; ".join(dict.fromkeys(str(row.spec.budget["policy"]) for row in plan.rows)),
        "record": problems[0].record if problems else "",
        "search": "; ".join(dict.fromkeys(problem.facts["search"] for problem in problems)),
        "judge": {target: problem.facts[f"judge:{target}"] for problem in problems for target in problem.judge.optimum},
        "optimum": {target: value for problem in problems for target, value in problem.judge.optimum.items()},
        "set_size": {target: problem.space.size for problem in problems for target in problem.judge.optimum},
        "stated_set": problems[0].judge.stated_set if problems else "",
        "table": "; ".join(dict.fromkeys(problem.facts["source"] for problem in problems)),
        "checksum": "; ".join(dict.fromkeys(problem.checksum[:16] for problem in problems)),
        "skipped": dict(plan.skipped),
        "planned": {row.spec.row: len(row.runs) for row in plan.rows},
        "command": provenance["command"],
        "code": provenance["code"],
        "host": provenance["host"],
        "date": provenance["date"],
        "warnings": [],
    }


def _budget(rule: Mapping[str, Any]) -> str:
    if rule["currency"] is None:
        return "each method's own schedule"
    policy = {"refuse": "the query that would cross is not made", "allow_last": "the query that crosses is the last"}
    at = ", result interpolated at the limit" if rule["interpolate"] else ""
    amount = f"{rule['limit']:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{amount} {rule['currency']} ({policy[rule['policy']]}{at})"
