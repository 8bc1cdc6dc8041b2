"""The blocks of a report as LaTeX: a document, and a table that other documents input."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.layout import MARK, Block, Bold, Bullets, Cited, Column, Table

LINE = 120
"""Characters of a line of a table of the document, less two for each column; a wider table is split by its columns."""
SHRINKS = 1.25
"""Ratio by which a table may be wider than a line: LaTeX scales it to the line."""
WRAPPED = 26
"""Characters of a cell of text at most in a line; longer texts are wrapped."""
LINES = 50
"""Lines of a table at most; a longer table is split by its rows."""
LONG = 24
"""Characters of a word that may not be broken."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "'": r"\textquotesingle{}", '"': "''", "`": r"\textasciigrave{}", "±": r"$\pm$", "Δ": r"$\Delta$", "δ": r"$\delta$",
    "−": "$-$", "–": "--", "—": "---", "×": r"$\times$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$",
    "·": r"$\cdot$", "“": "``", "”": "''", "’": "'", "‘": "`", "…": r"\ldots{}", "†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}",
    "ⁿ": "$^n$", "²": "$^2$", "√": r"$\surd$", "τ": r"$\tau$", "λ": r"$\lambda$", "α": r"$\alpha$",
    "\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,", "\N{ZERO WIDTH SPACE}": r"\allowbreak{}",
}  # fmt: skip


class Grid(NamedTuple):
    """A part of a table as its template reads it."""

    spec: str
    """The kinds of its columns, for ``tabular``."""
    groups: list[tuple[str, int, int]]
    """Spanning heads with their first and last column; empty if no column is in a group."""
    columns: list[Column]
    rows: list[tuple[str | None, list[str]]]
    """Cells, and the name of the group of rows that begins there: None if none begins, ``""`` if it has no name."""


def document(title: str, blocks: Sequence[Block]) -> bytes:
    """Return a document for pdflatex; citations need bibtex and ``report.bib``."""
    parts = [(type(block).__name__, block, list(_parts(block)) if isinstance(block, Table) else []) for block in blocks]
    return _render("report.tex", title=title, blocks=parts, cites=bool(citations(blocks)), narrow=False)


def tabular(table: Table) -> bytes:
    """Return a table as one ``tabular``. A comment above it has the caption."""
    grid = _grid(table, range(len(table.columns)), range(len(table.rows)))
    grid = grid._replace(spec=grid.spec.replace("L", "p{11em}"))  # the column type L is the document's
    return _render("table.tex", comment=textwrap.wrap(table.caption, 110), grid=grid, narrow=True)


def citations(blocks: Iterable[Block]) -> list[str]:
    """Return the bibliography keys that the blocks cite, each once."""
    texts: list[str] = []
    for block in blocks:
        match block:
            case Table():
                texts += [cell for cells in block.rows for cell in cells]
            case Bullets(items):
                texts += [text for _, text in items]
            case _:
                pass
    return list(dict.fromkeys(key for text in texts if isinstance(text, Cited) for key in text.keys))


@cache
def _environment() -> Environment:
    """Return the templates; every expression is escaped unless it is marked as safe."""
    environment = Environment(
        block_start_string="((*", block_end_string="*))", variable_start_string="(((", variable_end_string=")))",
        comment_start_string="((=", comment_end_string="=))", trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
        loader=PackageLoader("reports"), finalize=_final,
    )  # fmt: skip
    environment.filters["compact"] = _compact
    return environment


def _final(value: object) -> object:
    return latex_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _compact(text: str) -> str:
    """Return a cell with its standard deviation in small type."""
    return re.sub(r" \$\\pm\$ ([\d.]+)", r"{\\scriptsize\\,$\\pm$\\,\1}", latex_text(text))


def _render(template: str, **values: Any) -> bytes:
    return _environment().get_template(template).render(values).encode()


def latex_text(text: str) -> str:
    """Escape plain text and cite its keys. A character that the fonts lack is decomposed, or written as its code point.

    A long word may be broken after its punctuation, and after every eighth of its other characters.
    """
    broken = re.sub(rf"\S{{{LONG},}}", lambda word: re.sub(r"([/_:;,=.&+-]|[^/_:;,=.&+-]{8})", "\\1\u200b", word[0]), text)
    escaped = "".join(_LATEX.get(char) or (char if " " <= char < "\x7f" else _latin(char)) for char in broken)
    if isinstance(text, Bold):
        return f"\\textbf{{{escaped}}}"
    if isinstance(text, Cited) and text.keys:
        return escaped + "~" * bool(escaped) + f"\\cite{{{','.join(text.keys)}}}"
    return escaped


def _latin(char: str) -> str:
    if char.isspace():
        return " "
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    if "LATIN" in unicodedata.name(char, "") and (char in "ßæøåÆØÅœŒłŁ" or (plain and ord(char) < 0x100)):
        return char
    return "".join(_LATEX.get(letter, letter) for letter in plain) or f"U+{ord(char):04X}"


def _parts(table: Table) -> Iterator[Grid]:
    """Yield a table in parts that fit a page: first by columns, each part with the first column, then by rows."""
    widths = [_width(table, place) + 2 for place in range(len(table.columns))]
    filled = [place for place in range(1, len(widths)) if any(cells[place] for cells in table.rows)]
    parts: list[list[int]] = [[]]
    for _, members in groupby(filled, key=lambda place: table.columns[place].group or place):
        places = list(members)
        if parts[-1] and sum(widths[place] for place in (0, *parts[-1], *places)) > LINE * SHRINKS:
            parts.append([])
        parts[-1] += places
    for places in parts:
        columns = [0, *places]
        start, height = 0, 0
        for index, cells in enumerate(table.rows):
            lines = max(-(-len(cells[place]) // WRAPPED) for place in columns) + (index in table.rules)
            if height + lines > LINES:
                yield _grid(table, columns, range(start, index))
                start, height = index, 0
            height += lines
        yield _grid(table, columns, range(start, len(table.rows)))


def _width(table: Table, place: int) -> int:
    """Return the characters of the longest cell of a column that a line shows."""
    column = table.columns[place]
    longest = max([len(column.name), *(len(cells[place]) for cells in table.rows)])
    return longest if column.right else min(longest, WRAPPED)


def _grid(table: Table, places: Sequence[int], rows: Iterable[int]) -> Grid:
    columns = [table.columns[place] for place in places]
    groups, start = [], 1
    for name, members in groupby(columns, key=lambda column: column.group):
        end = start + len(list(members)) - 1
        groups.append((name, start, end))
        start = end + 1
    spec = "".join(_kind(table, place) for place in places)
    lines = [(table.rules.get(index), [table.rows[index][place] for place in places]) for index in rows]
    return Grid(spec, groups if any(name for name, _, _ in groups) else [], columns, lines)


def _kind(table: Table, place: int) -> str:
    """Return the kind of a column for ``tabular``: flush right, flush left, or wrapped."""
    column = table.columns[place]
    if column.name == MARK:
        return r"@{\,}l"
    if column.right:
        return "r"
    longest = max((len(cells[place]) for cells in table.rows), default=0)
    return "l" if longest <= WRAPPED else "L"
