"""The table that the user chose: ``NAS_TABLE`` is a path, or the start of a kind's name."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "NAS_TABLE"


def choose(text: str | None) -> None:
    """Choose a table for this process and the processes that it starts; None leaves ``NAS_TABLE`` as it is."""
    if text is not None:
        path = os.path.abspath(os.path.expanduser(text))
        os.environ[VARIABLE] = path if os.path.exists(path) else text


def chosen() -> str:
    """Return the choice, or an empty string."""
    return os.environ.get(VARIABLE, "").strip()


def named(text: str, path: Path | None, kind: str) -> bool:
    """Return whether ``text`` is this path, or the start of this kind's name in upper or lower case."""
    if kind and kind.lower().startswith(text.lower()):
        return True
    return path is not None and os.path.abspath(os.path.expanduser(text)) == os.path.abspath(path)
