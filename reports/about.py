"""How a page was made: facts of each benchmark, missing rows with the reason, settings, and commands."""

from __future__ import annotations

from collections.abc import Mapping

from harness.analysis.evidence import WEIGHT_SHARING, Page, Session
from harness.analysis.names import short_name, target_name
from harness.analysis.study import Study
from reports.formats import MISSING, number, thousands
from reports.layout import Block, Bullets, Cited, Code, Heading, Paragraph
from reports.lines import tabled

RECORDS = {"mean": "mean over the recorded seeds", "drawn": "one recorded seed drawn per query"}
PACKAGES = ("numpy", "torch")
"""Packages whose version may change results."""
SETTINGS = "settings (default)"
CHARGED = "Charged seconds are computed from recorded trainings, and are the same on every machine."


def benchmark(study: Study, name: str) -> list[Block]:
    """Return the facts of one benchmark, each once; the table cites the benchmark's papers."""
    known = study.targets(name)
    judged = {_both_names(t): text for t in known if (text := study.of_target("judge", name, t))}
    best = {target_name(target): number(value) for target, value in study.optima(name).items()}
    record = _fact(study, name, "record")
    facts = {
        "Searched": _fact(study, name, "search"),
        "Seed record of the search": RECORDS.get(record, record),
        "Judged by": _listed(judged),
        "Charged seconds": _fact(study, name, "clock"),
        "Regret and rank against": _fact(study, name, "stated_set"),
        "Best of that set": _listed(best),
        "Table": _fact(study, name, "table"),
        "Checksum": _fact(study, name, "checksum"),
    }
    keys = list(dict.fromkeys(key for part in study.parts(name) for key in part.citations))
    items = [(key, thousands(text)) for key, text in facts.items() if text]
    items = [(key, Cited(text, keys) if key == "Table" else text) for key, text in items]
    items += _remarks(study, name)
    return [Bullets(items)] if items else []


def budget(study: Study, name: str) -> list[Block]:
    """Return what limits a search of one benchmark, in sentences before its first table."""
    limit, end = _fact(study, name, "budget"), _fact(study, name, "at_the_limit").replace(WEIGHT_SHARING, "weight sharing")
    mean = next((part.training_seconds for part in study.parts(name) if part.training_seconds > 0), 0.0)
    common = study.common_budget(name)
    sentences = {
        f"All rows had the same budget: {common}." if common else f"Budget: {limit}.": True,
        f"A mean training is that of an average architecture, {mean:.3g} charged seconds.": "mean training" in limit and mean,
        CHARGED: "seconds" in limit,
        f"At the limit: {end}.": end,
    }
    return [Paragraph(" ".join(text for text, said in sentences.items() if said))] if limit else []


def _fact(study: Study, benchmark: str, name: str) -> str:
    """Return a field of :class:`harness.analysis.evidence.Part`: once if all kinds of method share it, else kind by kind."""
    texts = {part.kind: str(text) for part in study.parts(benchmark) if (text := getattr(part, name))}
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), "")
    return "; ".join(f"{kind}: {text}" for kind, text in texts.items())


def _remarks(study: Study, benchmark: str) -> list[tuple[str, str]]:
    """Return the remarks on the rows of a benchmark, each once."""
    rows: dict[str, list[str]] = {}
    for part in study.parts(benchmark):
        for row, text in part.remarks.items():
            rows.setdefault(text, []).append(study.label(row))
    return [("; ".join(labels), text) for text, labels in rows.items()]


def _both_names(target: str) -> str:
    name, short = target_name(target), short_name(target)
    return name if name == short else f"{name} ({short})"


def _listed(values: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in values.items())


def missing(study: Study) -> list[Block]:
    """Return the rows without runs and the rows of the store that are not on the page, with reasons."""
    reasons: dict[str, dict[str, list[str]]] = {}
    names = list(dict.fromkeys([*study.benchmarks, *(part.benchmark for part in study.page.parts)]))
    for name in names:
        for row, reason in study.skipped(name).items():
            reasons.setdefault(reason, {}).setdefault(name, []).append(study.label(row))
    items = [(_rows(places, len(names) > 1), reason) for reason, places in reasons.items()]
    blocks: list[Block] = [Heading("Not measured here"), Bullets(items)] if items else []
    if study.page.left_out:
        texts = [("; ".join(rows), reason) for reason, rows in study.page.left_out.items()]
        blocks += [Heading("In the store, not on this page"), Bullets(texts)]
    return blocks


def _rows(places: dict[str, list[str]], several: bool) -> str:
    """Return the rows by benchmark in words; benchmarks that lack the same rows share one list."""
    lacking: dict[str, list[str]] = {}
    for name, rows in places.items():
        lacking.setdefault("; ".join(rows), []).append(name)
    return "; ".join(f"{rows} on {', '.join(names)}" if several else rows for rows, names in lacking.items())


def provenance(study: Study) -> list[Block]:
    """Return the protocol, the facts of every benchmark, the settings of every row, and the commands."""
    page = study.page
    items = [(name, text) for name, text in (("Protocol", page.protocol), ("Modified", page.modified)) if text]
    blocks: list[Block] = [Heading("How this was made"), Bullets(items)]
    for name in study.benchmarks:
        facts = benchmark(study, name)
        blocks += [Heading(f"The benchmark {name}"), *facts] if facts and len(study.benchmarks) > 1 else facts
    return [*blocks, *_settings(study), *_sessions(page)]


def _settings(study: Study) -> list[Block]:
    """Return the settings that differ from the method's defaults by row, and the rows that have the defaults."""
    benchmarks: dict[tuple[str, str], list[str]] = {}  # of a row with the same settings
    for part in study.page.parts:
        for row in (row for row in part.settings if row in study.rows(part.benchmark)):
            text = _differing(part.settings[row], part.defaults.get(row, {}))
            benchmarks.setdefault((study.label(row), text), []).append(part.benchmark)
    rows = [row for row, _ in benchmarks]
    named = {key: key[0] + f" on {', '.join(on)}" * (rows.count(key[0]) > 1) for key, on in benchmarks.items()}
    lines = [{"method": name, SETTINGS: text} for (_, text), name in named.items() if text]
    blocks: list[Block] = [tabled("Settings that differ from the method's defaults.", lines) or Paragraph("")]
    plain = "; ".join(name for (_, text), name in named.items() if not text)
    blocks += [Paragraph(f"The method's default settings: {plain}.")] if plain else []
    return blocks if lines else blocks[1:]


def _differing(settings: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """Return the settings that are not the defaults, with the defaults in brackets."""
    values, usual = ({name: _plain(value) for name, value in of.items()} for of in (settings, defaults))
    changed = {name: value for name, value in values.items() if name not in usual or usual[name] != value}
    return ", ".join(f"{name} = {value}" + f" ({usual.get(name)})" * (name in usual) for name, value in changed.items())


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _sessions(page: Page) -> list[Block]:
    """Return the commands that made the runs, and the command that wrote this page."""
    sessions = page.sessions
    differing = [name for name in PACKAGES if len({_version(session, name) for session in sessions}) > 1]
    blocks: list[Block] = []
    for session in sessions:
        text = f"{session.runs:,} run{'s' * (session.runs != 1)} made on {session.date} by code {session.code}"
        text += "".join(f", {name} {_version(session, name)}" for name in differing)
        blocks += [Paragraph(f"{thousands(text)}, on {session.host}, by"), Code(session.command)]
    changed = ["the code"] * (len({session.code for session in sessions}) > 1) + differing
    if changed:
        blocks.append(Paragraph(f"Warning: these runs were made by different versions of {' and '.join(changed)}."))
    if page.writer:
        writer = page.writer
        text = ", ".join(f"{name} {text}" for name, text in (("on", writer.date), ("by code", writer.code)) if text)
        where = f", on {writer.host}" if writer.host else ""
        blocks += [Paragraph(f"This page was written {text}{where}, by"), Code(writer.command)]
    return blocks


def _version(session: Session, package: str) -> str:
    return session.packages.get(package) or MISSING
