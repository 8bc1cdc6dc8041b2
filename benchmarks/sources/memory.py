"""Remember the kind of each candidate file, so that later calls need not read the file again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cache import atomic


def entries(home: Path) -> dict[str, Any]:
    """Return the stored entries of candidate files, by absolute path.

    Each entry has ``stamp``; ``kind`` (None: not a source); ``table`` (a folder's name, or None); ``why`` a look failed.
    """
    try:
        known = json.loads((home / "sources.json").read_text())
        return {path: entry for path, entry in known.items() if {"stamp", "kind", "table", "why"} <= set(entry)}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def remember(home: Path, learned: Mapping[str, Any]) -> None:
    """Add entries. Do nothing if the cache cannot be written: the files are then read again next time."""
    with contextlib.suppress(OSError), atomic(home / "sources.json") as temporary:
        temporary.write_text(json.dumps({**entries(home), **learned}, indent=1))
