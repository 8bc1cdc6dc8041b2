"""The blocks of a report, rendered as Markdown and as LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from reports import bibliography


class Cited(str):
    """Text with citations. LaTeX prints ``\\cite`` after the text, Markdown prints the text alone."""

    keys: tuple[str, ...]

    def __new__(cls, text: str, keys: Sequence[str] = ()) -> Cited:
        cited = super().__new__(cls, text)
        cited.keys = tuple(key for key in keys if key in bibliography.entries())
        return cited


class Bold(str):
    """Text in bold type."""


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
        self.rows.append([cell if isinstance(cell, Cited | Bold) else " ".join(cell.split()) for cell in cells])


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


# --- Markdown ----------------------------------------------------------------------------------------------------------


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


# --- LaTeX -------------------------------------------------------------------------------------------------------------

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,graphicx}
\newcommand{\fit}[1]{\sbox0{#1}\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\begin{document}
\raggedright
"""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "'": r"\textquotesingle{}", '"': "''", "`": r"\textasciigrave{}", "±": r"$\pm$", "Δ": r"$\Delta$", "δ": r"$\delta$",
    "−": "$-$", "–": "--", "—": "---", "×": r"$\times$", "∞": r"$\infty$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$",
    "·": r"$\cdot$", "“": "``", "”": "''", "’": "'", "‘": "`", "…": r"\ldots{}", "†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}",
    "ⁿ": "$^n$", "√": r"$\surd$", "\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,",
}  # fmt: skip


def to_latex(title: str, blocks: Sequence[Block]) -> str:
    """Render as a LaTeX document for pdflatex; citations need bibtex and ``report.bib``, see :func:`citations`."""
    body = "\n\n".join(_latex_block(block) for block in blocks)
    if citations(blocks):
        body += "\n\n\\bibliographystyle{plain}\n\\bibliography{report}"
    return f"{_PREAMBLE}\n\\section*{{{latex_text(title)}}}\n\n{body}\n\n\\end{{document}}\n"


def citations(blocks: Sequence[Block]) -> list[str]:
    """Return the bibliography keys that the LaTeX document cites, each once."""
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


def latex_text(text: str) -> str:
    """Escape plain text and cite its keys. A character that the fonts lack is decomposed, or written as its code point."""
    escaped = "".join(_LATEX.get(char) or (char if " " <= char < "\x7f" else _latin(char)) for char in text)
    if isinstance(text, Bold):
        return f"\\textbf{{{escaped}}}"
    return f"{escaped}~\\cite{{{','.join(text.keys)}}}" if isinstance(text, Cited) and text.keys else escaped


def _latin(char: str) -> str:
    if char.isspace():
        return " "
    if "LATIN" in unicodedata.name(char, "") and ord(char) < 0x17F:
        return char
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return "".join(_LATEX.get(letter, letter) for letter in plain) or f"U+{ord(char):04X}"


def _latex_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"\\subsection*{{{latex_text(text)}}}"
        case Paragraph(text):
            return latex_text(text)
        case Bullets(items):
            lines = [
                "\\item " + (f"\\textbf{{{latex_text(name)}:}} " if name else "") + latex_text(text) for name, text in items
            ]
            return "\\begin{itemize}\\setlength{\\itemsep}{0pt}\n" + "\n".join(lines) + "\n\\end{itemize}" if items else ""
        case Code(text):
            return "\n\n".join(f"\\texttt{{{latex_text(line)}}}" for line in text.splitlines())
        case Figure(stem, caption):
            return f"\\includegraphics[width=\\textwidth]{{{stem}.pdf}}\n\n{{\\small {latex_text(caption)}}}"
        case Table():
            return _latex_table(block)


def _latex_table(table: Table) -> str:
    groups = [(name, len(list(members))) for name, members in groupby(table.columns, key=lambda column: column.group)]
    head = []
    if any(name for name, _ in groups):
        head.append(" & ".join(f"\\multicolumn{{{n}}}{{c}}{{{latex_text(name)}}}" for name, n in groups) + r" \\")
        starts = [1 + sum(n for _, n in groups[:index]) for index in range(len(groups))]
        rules = [f"\\cmidrule(lr){{{s}-{s + n - 1}}}" for s, (name, n) in zip(starts, groups, strict=True) if name]
        head.append(" ".join(rules))
    head.append(" & ".join(latex_text(column.name) for column in table.columns) + r" \\")
    # A cell that starts with a bracket would be read as the optional argument of the line break before it.
    lines = ["{}" + " & ".join(latex_text(cell) for cell in cells) + r" \\" for cells in table.rows]
    body = "\n".join(_latex_rule(table, index) + line for index, line in enumerate(lines))
    spec = "".join("r" if column.right else "l" for column in table.columns)
    return (
        f"\\fit{{\\begin{{tabular}}{{{spec}}}\n\\toprule\n"
        + "\n".join(head)
        + f"\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n\n{{\\small {latex_text(table.caption)}}}"
    )


def _latex_rule(table: Table, index: int) -> str:
    """Return the line above a row, and the name of the group that begins there."""
    name = table.rules.get(index)
    group = f"\\multicolumn{{{len(table.columns)}}}{{l}}{{\\textit{{{latex_text(name)}}}}} \\\\\n" if name else ""
    return ("\\midrule\n" if name is not None and index else "") + group
