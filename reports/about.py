"""What a page says besides its results: what each benchmark is, which rows are missing and why, and what made the runs."""

from __future__ import annotations

from math import isfinite
from typing import Any

from reports.formats import MISSING, number, short_name, target_name, thousands
from reports.layout import Block, Bullets, Code, Heading, Paragraph
from reports.study import Study

RECORDS = {"mean": "mean over the recorded seeds", "drawn": "one recorded seed drawn per query"}
PACKAGES = ("numpy", "torch")
"""Packages whose version may change a number."""


def benchmark(study: Study, name: str) -> list[Block]:
    """Return the facts of one benchmark, each once."""
    known = study.targets(name)
    judged = {_both_names(t): text for t in known if (text := study.of_target("judge", name, t))}
    optima = {target: study.of_target("optimum", name, target) for target in known}
    best = {target_name(t): number(value) for t, value in optima.items() if value is not None and isfinite(value)}
    record = study.fact(name, "record")
    facts = {
        "Budget": study.fact(name, "budget"),
        "Searched": study.fact(name, "search"),
        "Seed record of the search": RECORDS.get(record, record),
        "Judged by": _listed(judged),
        "Charged seconds": study.fact(name, "clock"),
        "Regret and rank against": study.fact(name, "stated_set"),
        "Best of that set": _listed(best),
        "Table": study.fact(name, "table"),
        "Checksum": study.fact(name, "checksum"),
    }
    items = [(key, thousands(text)) for key, text in facts.items() if text]
    return [Bullets(items)] if items else []


def _both_names(target: str) -> str:
    name, short = target_name(target), short_name(target)
    return name if name == short else f"{name} ({short})"


def _listed(values: dict[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in values.items())


def missing(study: Study) -> list[Block]:
    """Return why rows have no runs, and why runs of the store are not on the page."""
    reasons: dict[str, dict[str, list[str]]] = {}
    names = list(dict.fromkeys([*study.benchmarks, *(part.benchmark for part in study.facts.get("parts") or [])]))
    for name in names:
        for row, reason in study.skipped(name).items():
            reasons.setdefault(reason, {}).setdefault(name, []).append(study.label(row))
    items = [(_rows(places, len(names) > 1), reason) for reason, places in reasons.items()]
    blocks: list[Block] = [Heading("Not measured here"), Bullets(items)] if items else []
    left_out = study.facts.get("left_out") or {}
    if left_out:
        texts = [("; ".join(rows), reason) for reason, rows in left_out.items()]
        blocks += [Heading("In the store, not on this page"), Bullets(texts)]
    return blocks


def _rows(places: dict[str, list[str]], several: bool) -> str:
    """Return rows by benchmark; benchmarks that lack the same rows share one list."""
    lacking: dict[str, list[str]] = {}
    for name, rows in places.items():
        lacking.setdefault("; ".join(rows), []).append(name)
    return "; ".join(f"{rows} on {', '.join(names)}" if several else rows for rows, names in lacking.items())


def provenance(study: Study) -> list[Block]:
    """Return the protocol, the settings of every row, and the commands."""
    facts = study.facts
    items = [(name, str(facts[key])) for key, name in (("protocol", "Protocol"), ("modified", "Modified")) if facts.get(key)]
    items.append(("Spread", "every ± is a standard deviation with ddof 0, as the papers print it"))
    items += [(f"Settings of {row}", _settings(values)) for row, values in _all_settings(study).items() if values]
    items += [("Warning", str(text)) for text in facts.get("warnings") or []]
    return [Heading("How this was made"), Bullets(items), *_sessions(facts)]


def _all_settings(study: Study) -> dict[str, dict[str, Any]]:
    """Return settings by row; by row and benchmark where they differ between benchmarks."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in study.benchmarks:
        for row in study.rows(name):
            found.setdefault(row, {})[name] = study.settings(name, row)
    texts: dict[str, dict[str, Any]] = {}
    for row, settings in found.items():
        first, *others = settings.values()
        same = all(other == first for other in others)
        texts |= {row: first} if same else {f"{row} on {name}": values for name, values in settings.items()}
    return texts


def _settings(values: dict[str, Any]) -> str:
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return ", ".join(f"{name} = {value}" for name, value in plain.items())


def _sessions(facts: dict[str, Any]) -> list[Block]:
    """Return the commands that made the runs, and the one that wrote this page."""
    sessions = facts.get("sessions") or []
    differing = [name for name in PACKAGES if len({_version(made, name) for made in sessions}) > 1]
    blocks: list[Block] = []
    for made in sessions:
        text = f"{made['runs']:,} run{'s' * (made['runs'] != 1)} made on {made['date']} by code {made['code']}"
        text += "".join(f", {name} {_version(made, name)}" for name in differing)
        blocks += [Paragraph(f"{thousands(text)}, on {_host(made['host'])}, by"), Code(str(made["command"]))]
    changed = ["the code"] * (len({made["code"] for made in sessions}) > 1) + differing
    if changed:
        blocks.append(Paragraph(f"Warning: these runs were made by different versions of {' and '.join(changed)}."))
    if facts.get("command"):
        text = ", ".join(f"{name} {facts[key]}" for key, name in (("date", "on"), ("code", "by code")) if facts.get(key))
        where = f", on {_host(facts['host'])}" if facts.get("host") else ""
        blocks += [Paragraph(f"This page was written {text}{where}, by"), Code(str(facts["command"]))]
    return blocks


def _version(made: dict[str, Any], package: str) -> str:
    return str((made.get("packages") or {}).get(package) or MISSING)


def _host(value: Any) -> str:
    return _listed(value) if isinstance(value, dict) else str(value)
