"""Finds a file of image data in the data folders by its name."""

from __future__ import annotations

from pathlib import Path

from harness.cache import walk
from harness.look import is_file


def find_file(*names: str) -> Path | None:
    """Return the first regular file with one of these names; the first name is preferred."""
    files = {path.name: path for path in reversed(list(walk())) if path.name in names and is_file(path)}
    return next((files[name] for name in names if name in files), None)
