"""How to read a page: what captions and names of columns are too short to say, once at the end."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from reports.layout import Block, Bullets, Figure, Heading, Table

FILE = Path(__file__).with_name("reading.toml")


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Return the explanations by name, with ``text`` and with ``on``, the names of columns and figures that need it."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def explained(blocks: Sequence[Block]) -> list[Block]:
    """Return the explanations of what some blocks show."""
    shown = {*_names(blocks)}
    items = [(name, entry["text"]) for name, entry in entries().items() if "on" not in entry or shown & {*entry["on"]}]
    return [Heading("How to read this page"), Bullets(items)]


def _names(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Table():
                yield from (column.name for column in block.columns)
            case Figure(stem):
                yield stem
            case _:
                pass
