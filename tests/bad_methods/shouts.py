"""Raises an error of fifty million characters with terminal escapes."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Raises an error of fifty million characters with terminal escapes."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        raise ValueError("\x1b[31m" + "x" * 50_000_000 + "\x07the end")
