"""Published recurrent cells by name: ``DARTS_V1`` and ``DARTS_V2``."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path

from benchmarks.darts_rnn.genotype import parse
from harness.errors import UserError
from harness.space import Arch, InvalidArchitecture


@cache
def published() -> dict[str, Arch]:
    """Return every cell of ``published.toml`` by name."""
    entries = tomllib.loads((Path(__file__).parent / "published.toml").read_text())
    return {name: parse(entry["genotype"]) for name, entry in entries.items()}


def named(text: str) -> Arch:
    """Return a cell from its name in any case, or from its genotype.

    Raises:
        UserError: an unknown name, or an invalid genotype.
    """
    name = text.strip().upper().replace("-", "_")
    if name in published():
        return published()[name]
    if "(" not in text:
        close = difflib.get_close_matches(name, published(), 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(published())}."
        raise UserError(f"no published cell {text!r}; {hint} A genotype is spelled Genotype(recurrent=[...], concat=...)")
    try:
        return parse(text)
    except InvalidArchitecture as error:
        raise UserError(str(error)) from None
