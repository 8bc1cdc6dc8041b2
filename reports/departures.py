"""Where papers and code disagree: the text of every D-number that a page names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from reports.layout import Block, Bullets, Code, Figure, Heading, Paragraph, Table

FILE = Path(__file__).parents[1] / "docs" / "discrepancies.md"
NUMBER = re.compile(r"\bD-\d\d+\b")


@cache
def texts() -> dict[str, str]:
    """Return by D-number what disagrees: what the paper has, the code, and this project. Empty outside a checkout."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| D-")]
    return {
        number: _plain(f"{what}. Paper: {paper}. Code, or another source: {code}. Here: {here}.")
        for number, what, paper, code, here in (line for line in cells if len(line) == 5)
    }


def named(blocks: Sequence[Block]) -> list[Block]:
    """Return the texts of the D-numbers that some blocks name; no block if they name none."""
    named_here = {number for block in blocks for text in _texts(block) for number in NUMBER.findall(text)}
    numbers = [number for number in texts() if number in named_here]  # in the order of the page
    return (
        [Heading("D-numbers: where papers and code disagree"), Bullets([(n, texts()[n]) for n in numbers])] if numbers else []
    )


def _plain(markdown: str) -> str:
    return re.sub(r"\[([^]]*)\]\([^)]*\)|`([^`]*)`", lambda match: match[1] or match[2], markdown)


def _texts(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield block.caption
            yield from (cell for cells in block.rows for cell in cells)
        case Bullets(items):
            yield from (text for item in items for text in item)
        case Paragraph(text) | Heading(text) | Code(text) | Figure(_, text):
            yield text
