"""Find files in the data folders, and detect changes of a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.cache import walk
from harness.look import is_file, is_folder

Stamp = list[list[str | int]]
"""Name, size in bytes and modification time in ns of each file of a source. Equal stamps mean equal content."""


def find_file(*names: str) -> Path | None:
    """Return the first regular file in the data folders with one of these names; earlier names are preferred."""
    files = {path.name: path for path in reversed(list(walk())) if path.name in names and is_file(path)}
    return next((files[name] for name in names if name in files), None)


def stamp(parts: Iterable[Path]) -> Stamp:
    """Return the stamp of the files and folders that a source consists of. A folder has size 0."""
    return [[part.name, 0 if is_folder(part) else part.stat().st_size, part.stat().st_mtime_ns] for part in parts]
