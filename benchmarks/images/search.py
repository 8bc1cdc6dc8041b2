"""Looks through the data folders for files and folders of image data, two levels deep."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from harness.cache import data_roots

_DEPTH = 2
_ENTRIES = 2000
"""Folders are looked through up to so many entries: more is an image collection, not a place for archives."""


def candidates() -> Iterator[Path]:
    """The data folders themselves and what lies in them, a folder before its content."""
    for root in dict.fromkeys(data_roots()):
        if root.is_dir():
            yield from _below(Path(os.path.abspath(root)), _DEPTH)


def find_file(*names: str) -> Path | None:
    """The first file with one of these names; the first name is preferred."""
    found = {path.name: path for path in reversed(list(candidates())) if path.name in names and path.is_file()}
    return next((found[name] for name in names if name in found), None)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    try:
        with os.scandir(folder) as found:
            inside = sorted(itertools.islice(found, _ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in inside:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield Path(entry.path)
        elif depth:
            yield from _below(Path(entry.path), depth - 1)
