"""From the store to the plain data frames and facts that a report is made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness import registry, source
from harness.plan import RETRAINING, Plan, PlannedRow, preset
from harness.problem import Problem, UserError
from harness.protocol import Protocol
from harness.store import Store

METRICS = ("test", "valid", "regret", "rank", "parameters", "macs")
"""Of a judge's scores, those that a report shows."""

_SHARED = ("protocol", "benchmark", "budget", "search", "judge", "checksum", "record", "wall_limit_s", "device")
"""Fields of a row specification that must agree for rows to stand in one table."""


@dataclass(frozen=True)
class Evidence:
    """What a report is made of; see ``reports.write``."""

    runs: pd.DataFrame
    traces: list[dict[str, Any]]
    facts: dict[str, Any]
    trainings: pd.DataFrame
    """One line per training from scratch and stage that wants it; empty where the protocol has no stages."""


def collect(plan: Plan, store: Store, provenance: Mapping[str, Any]) -> Evidence:
    """Everything in the store that was made under the plan's protocol on the plan's data, whichever command made it."""
    rows: list[dict[str, Any]] = []
    traces: list[dict[str, Any]] = []
    sessions: Counter[int] = Counter()
    settings: dict[str, dict[str, dict[str, Any]]] = {}
    for identity, spec in _identities(plan, store):
        row, benchmark = spec["row"], spec["benchmark"]
        settings.setdefault(row, {})[benchmark] = spec["settings"]
        targets = list(plan.problems[benchmark].judge.optimum)
        for one in store.rows(identity):
            sessions[one["session"]] += 1
            shared = {
                "run_id": one["run_id"],
                "protocol": plan.protocol.name,
                "benchmark": benchmark,
                "row": row,
                "method": row.partition("[")[0].partition(":")[0],
                "kind": spec["kind"],
                "device": spec["device"],
                "label": "",
                "world": one["world"],
                "status": one["status"],
                "error": one["error"],
                "arch": one["arch"],
                "queries": one["spent"].get("queries", 0),
                "seconds": one["spent"].get("seconds", np.nan),
                "epochs": one["spent"].get("epochs", np.nan),
                "wall_seconds": one["wall_seconds"],
            }
            for target in targets:
                scores = one["scores"].get(target, {}) if one["status"] == "done" else {}
                metrics = {name: scores.get(name, np.nan) for name in METRICS}
                rows.append({**shared, "target": target, **metrics})
            if one["status"] == "done":
                traces.append(_trace(one, row, benchmark, plan.problems[benchmark]))
    facts = _facts(plan, provenance)
    facts["settings"] = dict(_settings(settings))
    facts["sessions"] = [
        {**{name: made[name] for name in ("date", "command", "code", "host")}, "runs": sessions[made["id"]]}
        for made in store.sessions(sessions)
    ]
    return Evidence(pd.DataFrame(rows), traces, facts, _trainings(plan, store))


def _trainings(plan: Plan, store: Store) -> pd.DataFrame:
    """What the stages wanted, with what came of it: accuracies in percent, NaN where a training failed or is to come."""
    identities = dict.fromkeys(one.spec.identity for one in plan.trainings)
    results = {one["run_id"]: one for identity in identities for one in store.rows(identity, trace=False)}
    stages = {stage.name: stage for stage in plan.protocol.stages}
    lines = []
    for one in plan.trainings:
        made, settings = results.get(one.run_id), one.spec.settings
        scores = made["scores"].get(settings["data"], {}) if made and made["status"] == "done" else {}
        chosen_by = stages[one.stage].chosen_by
        lines.append(
            {
                "stage": one.stage,
                "benchmark": one.spec.benchmark,
                "row": one.row,
                "world": one.world,
                "arch": one.arch,
                "seed": one.seed,
                "run_id": one.run_id,
                "status": made["status"] if made else "missing",
                "recipe": settings["recipe"],
                "epochs": settings["epochs"],
                "data": settings["data"],
                "split": settings["split"],
                "images": settings["images"],
                "probed": stages[one.stage].probed,
                "chosen_by": chosen_by,
                "chosen_on": stages[chosen_by].split if chosen_by else "",
                "accuracy": scores.get(settings["split"], np.nan),
                "best": scores.get("best", np.nan),
                "parameters": scores.get("parameters", np.nan),
                "macs": scores.get("macs", np.nan),
                "seconds": made["spent"].get("seconds", np.nan) if made else np.nan,
                "device": one.spec.device,
            }
        )
    return pd.DataFrame(lines)


def _searches(plan: Plan) -> list[PlannedRow]:
    return [row for row in plan.rows if row.spec.kind != RETRAINING]


def _settings(found: Mapping[str, Mapping[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings by row; by row and benchmark where they differ between benchmarks."""
    for row, settings in found.items():
        first, *others = settings.values()
        if all(_normal(other) == _normal(first) for other in others):
            yield row, first
        else:
            yield from ((f"{row} on {benchmark}", values) for benchmark, values in settings.items())


def _identities(plan: Plan, store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Specifications of the plan's own rows, and of other rows in the store that mean today what they meant then."""
    planned = {row.spec.identity: row.spec.plain() for row in _searches(plan)}
    terms = {spec["benchmark"]: _terms(spec) for spec in planned.values()}
    taken = {(spec["benchmark"], spec["row"]) for spec in planned.values()}
    others = {}
    for identity, spec in store.specs().items():
        key = spec.get("benchmark"), spec.get("row")
        if key not in taken and terms.get(spec.get("benchmark")) == _terms(spec) and _is_current(plan, spec):
            others[key] = identity, spec  # the newest, where there are several
    yield from planned.items()
    yield from others.values()


def _is_current(plan: Plan, spec: Mapping[str, Any]) -> bool:
    """Whether the row's method is still the same, and its settings are those that its name stands for."""
    try:
        info = registry.method(spec["method"])
        if spec["code"] != source.of_search(info.file, plan.problems[spec["benchmark"]], spec["kind"]):
            return False
        if "[" in spec["row"]:  # its name says its settings
            return True
        part = next(one for one in plan.protocol.parts if one.kind == spec["kind"] and spec["benchmark"] in one.benchmarks)
        space = plan.problems[spec["benchmark"]].space.name
        today = registry.settings(info, spec["row"], space, preset(part, spec["row"]), {})
    except (UserError, KeyError, StopIteration):
        return False
    return bool(_normal(today) == _normal(spec["settings"]))


def _normal(value: Any) -> Any:
    """As it is after a journey through JSON: tuples are lists."""
    return json.loads(json.dumps(value))


def _terms(spec: Mapping[str, Any]) -> Any:
    return _normal([spec.get(name) for name in _SHARED])


def _trace(one: Mapping[str, Any], row: str, benchmark: str, problem: Problem) -> dict[str, Any]:
    columns = one["trace"]
    tests = {target: columns[f"{target}/test"] for target in problem.judge.optimum if f"{target}/test" in columns}
    return {
        "row": row,
        "benchmark": benchmark,
        "world": one["world"],
        "arch": one["arch"],
        "seconds": columns["proposal_seconds"],
        "end": one["spent"]["seconds"],
        "queries": columns["proposal_queries"],
        "spent_queries": one["spent"]["queries"],
        "test": tests,
        "regret": {
            target: best - tests[target] for target, best in problem.judge.optimum.items() if target in tests and best == best
        },
        "probe": {name.removeprefix("probe/"): values for name, values in columns.items() if name.startswith("probe/")},
        "log": {name.removeprefix("log/"): values for name, values in columns.items() if name.startswith("log/")},
    }


def _facts(plan: Plan, provenance: Mapping[str, Any]) -> dict[str, Any]:
    protocol: Protocol = plan.protocol
    problems = list(plan.problems.values())
    return {
        "protocol": protocol.name,
        "title": protocol.title,
        "comparable": protocol.comparable,
        "modified": protocol.modified,
        "budget": _budgets(plan),
        "policy": "; ".join(dict.fromkeys(str(row.spec.budget["policy"]) for row in _searches(plan))),
        "record": "; ".join(dict.fromkeys(problem.record for problem in problems)),
        "search": "; ".join(dict.fromkeys(problem.facts.search for problem in problems)),
        "judge": _by_target(plan, lambda problem: {one: problem.facts.judge[one] for one in problem.judge.optimum}),
        "optimum": _by_target(plan, lambda problem: problem.judge.optimum),
        "worst": _by_target(plan, lambda problem: getattr(problem.judge, "worst", {})),
        "references": {
            name: [one._asdict() for one in problem.judge.references]
            for name, problem in plan.problems.items()
            if hasattr(problem.judge, "references")
        },
        "set_size": _by_target(plan, lambda problem: problem.judge.set_size),
        "clock": "; ".join(dict.fromkeys(problem.facts.clock for problem in problems if problem.facts.clock)),
        "estimate": _estimates(plan),
        "stated_set": "; ".join(dict.fromkeys(problem.judge.stated_set for problem in problems)),
        "table": "; ".join(dict.fromkeys(problem.facts.source for problem in problems)),
        "checksum": "; ".join(dict.fromkeys(problem.checksum[:16] for problem in problems)),
        "skipped": dict(plan.skipped),
        "known_rows": [row for info in registry.methods().values() for row in info.rows],
        "planned": {row.spec.row: len(row.runs) for row in _searches(plan)},
        "command": provenance["command"],
        "code": provenance["code"],
        "host": provenance["host"],
        "date": provenance["date"],
    }


def _estimates(plan: Plan) -> dict[str, dict[str, str]]:
    """By benchmark, the models by which the passes of its supernets are charged: their coefficients, R2 and residual."""
    found = {}
    for name in dict.fromkeys(row.spec.benchmark for row in plan.rows if row.spec.kind == "one-shot"):
        clock: Any = getattr(getattr(plan.problems[name], "task", None), "clock", None)
        if hasattr(clock, "facts"):
            found[name] = dict(clock.facts)
    return found


def _by_target(plan: Plan, of: Callable[[Problem], Mapping[str, Any]]) -> dict[str, Any]:
    """``{target: value}``; where benchmarks that share a target differ, ``{"target (benchmark)": value}``."""
    found = {(target, name): value for name, problem in plan.problems.items() for target, value in of(problem).items()}
    differing = {target for target, _ in found if len({repr(v) for (one, _), v in found.items() if one == target}) > 1}
    return {f"{target} ({name})" if target in differing else target: value for (target, name), value in found.items()}


def _budgets(plan: Plan) -> str:
    """Once where it is the same on all benchmarks, by the kind of method where a benchmark has several."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for row in _searches(plan):
        found.setdefault(row.spec.benchmark, {}).setdefault(row.spec.kind, {})[_budget(row.spec.budget)] = None
    texts = {}
    for benchmark, kinds in found.items():
        by_kind = {kind: " or ".join(budgets) for kind, budgets in kinds.items()}
        same = len(set(by_kind.values())) == 1
        texts[benchmark] = next(iter(by_kind.values())) if same else ", ".join(": ".join(pair) for pair in by_kind.items())
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{benchmark}: {text}" for benchmark, text in texts.items())


def _budget(rule: Mapping[str, Any]) -> str:
    if rule["currency"] is None:
        return "each method's own schedule"
    policy = {"refuse": "the query that would cross is not made", "allow_last": "the query that crosses is the last"}
    at = ", result interpolated at the limit" if rule["interpolate"] else ""
    amount = f"{rule['limit']:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{amount} {rule['currency']} ({policy[rule['policy']]}{at})"
