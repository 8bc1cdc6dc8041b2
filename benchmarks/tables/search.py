"""Looks for sources in the data folders, cheaply, and remembers what each file turned out to be."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.cache import atomic, data_roots

_DEPTH = 2
_ENTRIES = 2000
"""Folders are looked through up to so many entries: more is an image collection, not a place for benchmark files."""


def candidates(suffixes: tuple[str, ...], mark: str | None = None) -> Iterator[Path]:
    """Files with these suffixes, and folders that hold a file ``mark``, in the data folders, two levels deep."""
    for root in dict.fromkeys(data_roots()):
        yield from _below(Path(os.path.abspath(root)), _DEPTH, suffixes, mark)


def stamp(parts: Iterable[Path]) -> list[list[Any]]:
    """Name, size and time of change of what a source consists of: the same stamp, the same content."""
    return [[part.name, 0 if part.is_dir() else part.stat().st_size, part.stat().st_mtime_ns] for part in parts]


def entries(home: Path) -> dict[str, Any]:
    """What is known of sources, by absolute path: ``stamp``, ``kind`` (None: of no use here), ``table`` (folder name, None)."""
    try:
        known = json.loads((home / "sources.json").read_text())
        return {path: entry for path, entry in known.items() if {"stamp", "kind", "table"} <= set(entry)}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def remember(home: Path, learned: Mapping[str, Any]) -> None:
    """Adds to what is known. A cache that cannot be written only costs the time to look again."""
    with contextlib.suppress(OSError), atomic(home / "sources.json") as temporary:
        temporary.write_text(json.dumps({**entries(home), **learned}, indent=1))


def _below(folder: Path, depth: int, suffixes: tuple[str, ...], mark: str | None) -> Iterator[Path]:
    if mark is not None and (folder / mark).is_file():
        yield folder
        return
    try:
        with os.scandir(folder) as found:
            inside = sorted(itertools.islice(found, _ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in inside:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if depth:
                yield from _below(Path(entry.path), depth - 1, suffixes, mark)
        elif entry.name.lower().endswith(suffixes):
            yield Path(entry.path)
