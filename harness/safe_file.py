"""A file of bytes that is complete or absent. Damage to it is detected."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from harness.cache import atomic, explain

_DIGEST = 32


class Damaged(ValueError):
    """The content of a file does not have the digest that was saved with it."""


class SafeFile:
    """File with the last good state of long work.

    Args:
        path: the file; its folder is created at the first :meth:`save`.
        work: the work that continues if a write fails, for the warning: ``the search``.
    """

    def __init__(self, path: Path, work: str) -> None:
        self.path, self._work = path, work
        self._warned = False

    def save(self, content: bytes) -> None:
        """Replace the content on disk. A write that fails is reported once and leaves the last good file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as temporary:
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            if not self._warned:
                print(f"warning: {explain(error, 'keep a checkpoint')}; {self._work} goes on", file=sys.stderr, flush=True)
            self._warned = True

    def load(self) -> bytes | None:
        """Return the content saved last; None if there is no file.

        Raises:
            Damaged: the file is incomplete or was changed.
            OSError: it cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        content = data[_DIGEST:]
        if hashlib.sha256(content).digest() != data[:_DIGEST]:
            raise Damaged(f"{self.path} is damaged")
        return content

    def forget(self) -> None:
        """Delete the file if there is one."""
        self.path.unlink(missing_ok=True)
