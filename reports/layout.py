"""The blocks of a report, and their rendering as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports import bibliography

PAGE, MARKDOWN = "index.html", "table.md"
"""The files of a report that a link leads to."""
MARK = "mark"
"""Name of a column of marks; LaTeX sets them as superscripts of the numbers on their left."""


class Cited(str):
    """Text with citations. LaTeX prints ``\\cite`` after the text, Markdown prints the text alone."""

    keys: tuple[str, ...]

    def __new__(cls, text: str, keys: Sequence[str] = ()) -> Cited:
        cited = super().__new__(cls, text)
        cited.keys = tuple(key for key in keys if key in bibliography.entries())
        return cited


class Bold(str):
    """Text in bold type."""


class Linked(str):
    """Text that leads to an HTML page of a report. In Markdown it leads to the report's page, which has no page of runs."""

    address: str

    def __new__(cls, text: str, address: str) -> Linked:
        linked = super().__new__(cls, text)
        linked.address = address
        return linked


@dataclass(frozen=True)
class Column:
    """A column: its name, the group of columns that it belongs to (a target), and whether it is set flush right."""

    name: str
    group: str = ""
    right: bool = True

    @property
    def title(self) -> str:
        """Return group and name in one line, for tables without spanning headers."""
        return f"{self.group} {self.name}".strip()


@dataclass
class Table:
    """A table of text cells; every row has one cell per column.

    ``rules``: by index of a row with a line above it, the name of the group of rows that begins there, or ``""``.
    """

    caption: str
    columns: list[Column]
    rows: list[list[str]] = field(default_factory=list)
    rules: dict[int, str] = field(default_factory=dict)

    def add(self, cells: Sequence[str], rule: bool | str = False) -> None:
        """Append a row; ``rule`` draws a line above it, with the name of the group of rows that begins there."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        if rule:
            self.rules[len(self.rows)] = rule if isinstance(rule, str) else ""
        self.rows.append([cell if isinstance(cell, Cited | Bold | Linked) else " ".join(cell.split()) for cell in cells])


@dataclass(frozen=True)
class Heading:
    """A section heading."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of ``name: text`` items; an item without a name is text alone."""

    items: list[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Lines shown as they are."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A figure in the files ``stem.png`` and ``stem.pdf``; the first sentence of the caption is its alternative text."""

    stem: str
    caption: str


Block = Table | Heading | Paragraph | Bullets | Code | Figure


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Render as GitHub-flavoured Markdown with padded columns, so that the source is readable too."""
    return "\n\n".join([f"# {_markdown_text(title)}", *(_markdown_block(block) for block in blocks)]) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_markdown_text(text)}"
        case Paragraph(text):
            return _markdown_text(text)
        case Bullets(items):
            named = [(f"**{_markdown_text(name)}:** " if name else "", _markdown_text(text)) for name, text in items]
            return "\n".join(f"- {name}{text}" for name, text in named)
        case Code(text):
            return "\n".join("    " + line for line in text.splitlines())
        case Figure(stem, caption):
            short, _, _ = caption.partition(". ")
            return f"![{_markdown_text(short)}]({stem}.png)\n\n{_markdown_text(caption)}"
        case Table():
            return _markdown_table(block)


def _markdown_text(text: str) -> str:
    escaped = re.sub(r"([\\|*`<])", r"\\\1", " ".join(text.split()))
    if isinstance(text, Linked) and text.address.endswith(PAGE):
        return f"[{escaped}]({text.address.removesuffix(PAGE)}{MARKDOWN})"
    return f"**{escaped}**" if isinstance(text, Bold) else escaped


def _markdown_table(table: Table) -> str:
    lines = [[_markdown_text(column.title) for column in table.columns]]
    for index, cells in enumerate(table.rows):
        if name := table.rules.get(index):
            lines.append([f"*{_markdown_text(name)}*", *[""] * (len(cells) - 1)])
        lines.append([_markdown_text(cell) for cell in cells])
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    flush = [str.rjust if column.right else str.ljust for column in table.columns]
    bar = [
        "-" * (width - 1) + ":" if column.right else "-" * width for width, column in zip(widths, table.columns, strict=True)
    ]
    padded = [[pad(cell, width) for pad, cell, width in zip(flush, cells, widths, strict=True)] for cells in lines]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in (padded[0], bar, *padded[1:]))
    return f"{body}\n\n{_markdown_text(table.caption)}"
