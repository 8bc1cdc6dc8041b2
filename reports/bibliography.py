"""The bibliography: entries of ``references.bib`` by key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("references.bib")

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),.*?^\}$", re.DOTALL | re.MULTILINE)


@cache
def entries() -> dict[str, str]:
    """Return every entry as BibTeX, by key."""
    return parsed(FILE.read_text())


def parsed(text: str) -> dict[str, str]:
    """Return the entries of a BibTeX file by key."""
    return {entry[1]: entry[0] for entry in _ENTRY.finditer(text)}


def extract(keys: Iterable[str]) -> str:
    """Return the entries of some keys as a BibTeX file. Unknown keys are skipped."""
    known = entries()
    return "".join(f"{known[key]}\n\n" for key in dict.fromkeys(keys) if key in known)
