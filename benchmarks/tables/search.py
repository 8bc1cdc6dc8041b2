"""Looks for sources in the data folders, cheaply, and remembers what each file turned out to be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.cache import atomic, walk
from harness.look import is_file, is_folder


def candidates(suffixes: tuple[str, ...], mark: str | None = None) -> Iterator[Path]:
    """Yield files with these suffixes, and folders that hold a file ``mark``, in the data folders.

    A path with one of the suffixes may be no regular file.
    """

    def marked(folder: Path) -> bool:
        return mark is not None and is_file(folder / mark)

    for path in walk(marked):
        if marked(path) if is_folder(path) else path.name.lower().endswith(suffixes):
            yield path


def stamp(parts: Iterable[Path]) -> list[list[Any]]:
    """Return name, size and time of change of what a source consists of: the same stamp, the same content."""
    return [[part.name, 0 if is_folder(part) else part.stat().st_size, part.stat().st_mtime_ns] for part in parts]


def entries(home: Path) -> dict[str, Any]:
    """Return what is known of sources, by absolute path.

    Each entry has ``stamp``; ``kind`` (None: of no use here); ``table`` (a folder's name, or None); ``why`` a look failed.
    """
    try:
        known = json.loads((home / "sources.json").read_text())
        return {path: entry for path, entry in known.items() if {"stamp", "kind", "table", "why"} <= set(entry)}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def remember(home: Path, learned: Mapping[str, Any]) -> None:
    """Add to what is known. A cache that cannot be written only costs the time to look again."""
    with contextlib.suppress(OSError), atomic(home / "sources.json") as temporary:
        temporary.write_text(json.dumps({**entries(home), **learned}, indent=1))
