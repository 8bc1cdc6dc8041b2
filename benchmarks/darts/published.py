"""Published cells by name, so that anyone can train one: ``DARTS_V2``, ``PC_DARTS_CIFAR10``, ``CONAS_1``, ..."""

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
    """Every published cell of ``published.toml``."""
    return {name: parse(entry["genotype"]) for name, entry in _entries().items()}


@cache
def about() -> dict[str, str]:
    """What each of them is."""
    return {name: entry["about"] for name, entry in _entries().items()}


def named(text: str) -> Arch:
    """The cell that ``text`` names, in any case, or spells as a genotype. Raises :class:`UserError`."""
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
