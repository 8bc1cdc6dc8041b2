"""The blocks of a report as HTML pages that need no network: the page, the page of all its runs, and an index of reports."""

from __future__ import annotations

import gzip
import html
import io
import json
import re
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.analysis import published
from harness.analysis.evidence import Evidence, Page, Run
from harness.analysis.names import row_names
from harness.analysis.ranks import COLUMNS, COSTS
from harness.analysis.study import Study
from harness.analysis.verdict import VERDICTS
from reports import addresses, overall, ranks, reading
from reports.addresses import RUNS
from reports.departures import NUMBER
from reports.figures import ROW
from reports.layout import PAGE, Block, Bold, Bullets, Column, Figure, Heading, Linked, Table

FOLDED = 12
"""Items of a list at most; a longer list is folded."""
LONG = 60
"""Characters of a cell of a table at most that are in one line."""
RELOAD_SECONDS = 15
"""Time after which the page of a running sweep loads again."""
GENERATOR = '<meta name="generator" content="nas-harness">'
_NUMBER = re.compile(r"[−-]?\d[\d\N{NARROW NO-BREAK SPACE}]*(?:\.\d+)?")


class Section(NamedTuple):
    """A heading and the blocks up to the next one, each with the name of its type."""

    heading: str
    id: str
    blocks: list[tuple[str, Any]]


class Cell(NamedTuple):
    """A cell of a table; ``order`` is what a column of numbers is sorted by, None in a column of text."""

    text: str
    order: str | None
    bold: bool
    badge: bool
    address: str
    """Where it leads, or ``""``."""


class Line(NamedTuple):
    """A line of a table; ``name`` is the row of the report that it shows, ``ruled`` whether a line is above it."""

    name: str
    cells: list[Cell]
    ruled: bool


class Grid(NamedTuple):
    """A table as its template reads it."""

    caption: str
    columns: list[Column]
    groups: list[tuple[str, list[Column]]]
    """Spanning heads; empty if no column is in a group."""
    rows: list[Line]


class Summary(NamedTuple):
    """What an index says about a report."""

    title: str
    findings: list[str]
    runs: int
    failed: int
    date: str = ""
    running: str = ""
    one_budget: Mapping[str, Sequence[str]] = {}
    """By protocol, the benchmarks on which all rows have the same limit."""
    pending: int = 0
    """Planned runs that are not in the store."""


def page(
    blocks: Sequence[Block],
    summary: Summary,
    links: Sequence[tuple[str, str]],
    drawings: Mapping[str, bytes] | None = None,
    labels: Mapping[str, str] | None = None,
    searched: Collection[str] = (),
) -> bytes:
    """Return the page of some blocks.

    Args:
        links: names and addresses of other pages.
        drawings: the figures as SVG, by stem.
        labels: labels of the rows of a report, by row.
        searched: the rows that have runs, which their lines of tables lead to.
    """
    labels = labels or {}
    rows = {label: row for row, label in labels.items()}
    return _render(
        "page.html",
        title=summary.title,
        summary=json.dumps(summary._asdict()),
        running=summary.running,
        links=links,
        sections=_sections(blocks, rows, searched),
        numbers=_numbers(blocks),
        drawings={stem: _inline(stem, svg.decode(), labels) for stem, svg in (drawings or {}).items()},
        tables=_data_tables(),
    )


def runs(data: Mapping[str, Any], summary: Summary) -> bytes:
    """Return the page of all runs; ``data`` is what ``runs.js`` reads, see :func:`reports.runs.listing`.

    The table is apart from the details of the runs, which are large and are read when the first run is opened.
    """
    table = ("columns", "lines")
    explained = reading.entries()["Epochs and image passes"]["text"]
    return _render(
        RUNS,
        title=f"Runs: {summary.title}",
        running=summary.running,
        counts={"done": summary.runs - summary.failed, "failed": summary.failed, "pending": summary.pending},
        explained=explained,
        links=[("All reports", f"../{PAGE}"), ("Report", PAGE), *((name, name) for name in ("runs.csv", "runs.parquet"))],
        data=_packed(_json({name: data[name] for name in table})),
        details=_packed(_json({name: value for name, value in data.items() if name not in table})),
        tables=_data_tables(),
    )


def index(folder: Path) -> bytes:
    """Return the index of the reports in the folders inside ``folder``, with their rows over all benchmarks and links."""
    reports: list[dict[str, Any]] = []
    for path in sorted(folder.glob(f"*/{PAGE}")):
        with path.open(encoding="utf-8") as stream:
            head = stream.read(20_000)
        if stated := re.search('<meta name="summary" content="(.*?)">', head):
            reports.append({"folder": path.parent.name, **json.loads(html.unescape(stated[1]))})
    blocks, drawn = _overall(
        [folder / report["folder"] for report in reports], [report.get("one_budget", {}) for report in reports]
    )
    return _render(
        PAGE,
        title="Reports",
        sections=_sections(blocks, {}),
        numbers=_numbers(blocks),
        drawings=drawn,
        tables=_data_tables() if blocks else None,
        links=[(_title(path), path.name) for path in sorted(folder.glob("*.html")) if path.name != PAGE],
        running=next((report["running"] for report in reports if report["running"]), ""),
        reports=reports,
    )


def _title(page: Path) -> str:
    """Return the title of a page, or the name of its file."""
    with page.open(encoding="utf-8", errors="replace") as stream:
        stated = re.search("<title>(.*?)</title>", stream.read(20_000))
    return html.unescape(stated[1]) if stated else page.stem


def _overall(folders: Sequence[Path], one_budget: Sequence[Mapping[str, Sequence[str]]]) -> tuple[list[Block], dict[str, str]]:
    """Return the rows of several reports over all their benchmarks, and the figure of their ranks.

    Every report has its own rules: a protocol under two budgets has two reports, whose runs are not compared.
    """
    frames, together = [], {}
    for folder, by_protocol in zip(folders, one_budget, strict=True):
        file = folder / "runs.parquet"
        if file.exists():  # as bytes: Arrow takes a path for a URI, and refuses names that are not UTF-8
            runs = pd.read_parquet(io.BytesIO(file.read_bytes()), columns=[Run.RUN_ID, *COLUMNS, *COSTS])
            frames += [runs.assign(**{Run.PROTOCOL: folder.name})] if len(runs) else []
            together[folder.name] = [name for names in by_protocol.values() for name in names]
    if not frames:
        return [], {}
    study = Study(Evidence(Page("", names=row_names()), pd.concat(frames)), published.load())
    blocks = overall.blocks(study.runs, together, study.label)
    drawn = ranks.over(study, together) if blocks else None
    if drawn is None:
        return blocks, {}
    return [*blocks, Figure("ranks", drawn.caption)], {"ranks": _inline("ranks", drawn.files["svg"].decode(), study.labels)}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["departing"] = _departing
    environment.globals |= {
        "folded": FOLDED,
        "long": LONG,
        "reload_seconds": RELOAD_SECONDS,
        "tables": None,
        "summary": "",
        "running": "",
    }
    return environment


def _render(template: str, **values: Any) -> bytes:
    return _environment().get_template(template).render(values).encode()


@cache
def _data_tables() -> dict[str, str]:
    """Return style sheet and packed script of DataTables, as itables bundles them."""
    bundle = resources.files("itables") / "html"
    return {
        "css": (bundle / "dt_bundle.css").read_text(encoding="utf-8"),
        "script": _packed((bundle / "dt_bundle.js").read_bytes()),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _packed(content: bytes) -> str:
    """Return a content as the scripts of the pages unpack it: gzip in base64."""
    return b64encode(gzip.compress(content, mtime=0)).decode()


def _inline(stem: str, svg: str, labels: Mapping[str, str]) -> str:
    """Return a figure for a page with several: its ids are unique, and what shows a row has its name and its label."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{stem}-", svg)
    svg = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)  # half the size, as sharp

    def named(match: re.Match[str]) -> str:
        row = match[1]
        label = html.escape(labels.get(html.unescape(row), html.unescape(row)))
        return f'<g data-row="{row}"><title>{label}</title>'

    return re.sub(rf'<g id="{stem}-{ROW}([^"]*)">', named, svg)


def _numbers(blocks: Sequence[Block]) -> set[str]:
    """Return the D-numbers whose texts are on a page."""
    return {name for block in blocks if isinstance(block, Bullets) for name, _ in block.items if NUMBER.fullmatch(name)}


def _departing(text: str, numbers: Collection[str]) -> Markup:
    """Return a text as HTML; its D-numbers lead to their texts on the page."""
    link = r'<a href="#\g<0>">\g<0></a>'
    return Markup(NUMBER.sub(lambda number: number.expand(link) if number[0] in numbers else number[0], str(escape(text))))


def _sections(blocks: Sequence[Block], rows: Mapping[str, str], searched: Collection[str] = ()) -> list[Section]:
    sections = [Section("", "top", [])]
    for block in blocks:
        if isinstance(block, Heading):
            sections.append(Section(block.text, f"section-{len(sections)}", []))
        else:
            sections[-1].blocks.append(
                (type(block).__name__, _grid(block, rows, searched) if isinstance(block, Table) else block)
            )
    return [section for section in sections if section.blocks or section.heading]


def _grid(table: Table, rows: Mapping[str, str], searched: Collection[str]) -> Grid:
    columns, groups = list(table.columns), []
    named = any(table.rules.values())
    if named:
        columns.append(Column("kind", right=False))
    if any(column.group for column in columns):
        groups = [(name, list(members)) for name, members in groupby(columns, key=lambda column: column.group)]
    lines, kind = [], ""
    for index, texts in enumerate(table.rows):
        kind = table.rules.get(index, kind)
        texts = [*texts, kind] if named else texts
        cells = [_cell(text, column) for text, column in zip(texts, columns, strict=True)]
        row = _row(texts[0], rows)
        if row in searched:
            label = next(name for name, known in rows.items() if known == row)
            cells[0] = cells[0]._replace(address=addresses.of_runs(method=[label]))
        lines.append(Line(row, cells, index in table.rules))
    return Grid(table.caption, columns, groups, lines)


def _cell(text: str, column: Column) -> Cell:
    number = _NUMBER.search(text) if column.right else None
    order = re.sub(r"\s", "", number[0]).replace("−", "-") if number else ""
    address = text.address if isinstance(text, Linked) else ""
    return Cell(text, order if column.right else None, isinstance(text, Bold), text in VERDICTS, address)


def _row(text: str, rows: Mapping[str, str]) -> str:
    """Return the row whose label a cell is or begins with, or ``""``."""
    return rows.get(max((label for label in rows if text == label or text.startswith(f"{label} (")), key=len, default=""), "")
