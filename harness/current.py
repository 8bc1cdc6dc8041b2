"""Choose the rows of a store that a page shows: those that the present code would run in the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from harness import registry
from harness.errors import UserError
from harness.plan import Plan, preset
from harness.spec import RETRAINING, RowSpec
from harness.store import Store

CHANGES = {
    "code": "made by other code",
    "settings": "made with other settings",
    "budget": "made under another budget; only the figure of regret may show them",
    "checksum": "made on other data",
    "trained_on": "trained on other images",
    "search": "searched by other rules",
    "judge": "judged by other rules",
    "record": "made with another seed record",
    "wall_limit_s": "made under another limit of real time",
    "threads": "trained with another number of threads",
}
"""Text of a page if the stored value of a field differs from the present one, by field of a row's specification."""


class Current(NamedTuple):
    """Rows of a store under one protocol."""

    shown: dict[str, dict[str, Any]]
    """By identity, the specifications of rows with finished runs; one per row and benchmark."""
    left_out: dict[str, list[str]]
    """By reason, the rows (``ROW on BENCHMARK``) that are in the store and not on the page."""
    other_budgets: dict[str, dict[str, Any]]
    """By identity, the specifications of rows that differ from the present code's in the limit of their budget alone."""


def current(plan: Plan, store: Store) -> Current:
    """Return the stored rows of the plan's protocol that the present code would run in the same way.

    If a row is stored with several specifications (two devices), the plan's own one is shown, else the newest.
    """
    planned = {row.spec.identity for row in plan.rows}
    candidates: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    left_out: dict[str, dict[str, None]] = {}
    other_budgets: dict[str, dict[str, Any]] = {}
    for identity, spec in store.specs().items():
        if spec.get("protocol") != plan.protocol.name or spec.get("kind") == RETRAINING:
            continue
        changed = [] if identity in planned else _changes(plan, spec)
        reason = _in_words(changed[0]) if changed else ""
        if changed == ["budget"]:
            other_budgets[identity] = spec
        if reason:
            left_out.setdefault(reason, {})[f"{spec['row']} on {spec['benchmark']}"] = None
        else:
            candidates.setdefault((spec["benchmark"], spec["row"]), []).append((identity, spec))
    shown = {}
    for (benchmark, row), specs in candidates.items():
        *older, (identity, spec) = sorted(specs, key=lambda stored: stored[0] in planned)  # stable: the newest is the last
        shown[identity] = spec
        for _, replaced in older:
            left_out.setdefault(f"made with --device {replaced['device']}", {})[f"{row} on {benchmark}"] = None
    return Current(shown, {reason: list(rows) for reason, rows in left_out.items()}, other_budgets)


def _changes(plan: Plan, spec: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a stored row differs from the same row under the present code, or a reason in words."""
    benchmark, row = str(spec.get("benchmark")), str(spec.get("row"))
    parts = (part for part in plan.protocol.parts if part.kind == spec["kind"] and benchmark in part.benchmarks)
    part = next(parts, None)
    if part is None:
        return [f"the protocol does not search there with {spec['kind']} methods"]
    try:
        info = registry.method(spec["method"])
        opened = plan.open(part, benchmark)
        settings = spec["settings"]
        if "[" not in row:  # else the row's name states its settings
            settings = registry.settings(info, row, opened.problem.space.name, preset(part, row), {})
        today = plan.spec(opened, row, info, settings, spec["device"]).plain()
    except UserError as error:
        return [str(error)]
    today["method"] = spec["method"]  # a name or a path: `code` identifies the method
    if not (today["trained_on"] and spec.get("trained_on")):
        today["trained_on"] = spec.get("trained_on")  # unknown now or unknown then: not compared
    stored = _normal(spec)
    return [name for name, value in _normal(today).items() if stored.get(name) != value]


def _in_words(change: str) -> str:
    """Return the text of a page for a change: the name of a field, or a reason that is in words already."""
    return CHANGES.get(change, f"made with another {change}" if change in RowSpec.__dataclass_fields__ else change)


def _normal(value: Any) -> Any:
    """Return ``value`` as JSON stores it: tuples become lists."""
    return json.loads(json.dumps(value))
