"""Cells that papers print, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from harness.errors import UserError
from harness.space import Arch, InvalidArchitecture


def named(text: str, known: Mapping[str, Arch], parse: Callable[[str], Arch], form: str) -> Arch:
    """Return a cell from its name or its genotype.

    Args:
        text: the name of a published cell in any case, or a genotype.
        known: the published cells.
        parse: reads a genotype.
        form: the form of a genotype, for the error.

    Raises:
        UserError: an unknown name, or an invalid genotype.
    """
    name = text.strip().upper().replace("-", "_")
    if name in known:
        return known[name]
    if "(" not in text:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise UserError(f"no published cell {text!r}; {hint} A genotype is spelled {form}")
    try:
        return parse(text)
    except InvalidArchitecture as error:
        raise UserError(str(error)) from None
