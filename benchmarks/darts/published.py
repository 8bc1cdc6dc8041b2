"""Published cells by name: ``DARTS_V2``, ``PC_DARTS_CIFAR10``, ``CONAS_1``, ..."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path

from benchmarks.darts.genotype import parse
from harness.errors import UserError
from harness.space import Arch, InvalidArchitecture


@cache
def published() -> dict[str, Arch]:
    """Return every cell of ``published.toml`` by name."""
    return {name: parse(entry["genotype"]) for name, entry in _entries().items()}


@cache
def about() -> dict[str, str]:
    """Return the description of every published cell by name."""
    return {name: entry["about"] for name, entry in _entries().items()}


def named(text: str) -> Arch:
    """Return a cell from its name or its genotype.

    Args:
        text: the name of a published cell in any case, or ``Genotype(...)``.

    Raises:
        UserError: an unknown name, or an invalid genotype.
    """
    name = text.strip().upper().replace("-", "_")
    if name in published():
        return published()[name]
    if "(" not in text:
        close = difflib.get_close_matches(name, published(), 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(published())}"
        raise UserError(f"no published cell {text!r}; {hint} A genotype is spelled Genotype(normal=[...], ...)")
    try:
        return parse(text)
    except InvalidArchitecture as error:
        raise UserError(str(error)) from None


def _entries() -> dict[str, dict[str, str]]:
    return tomllib.loads((Path(__file__).parent / "published.toml").read_text())
