"""The contract of a benchmark's library: which official files it can use, which are present, and importing them.

A benchmark package offers one as ``LIBRARY`` in its module ``library``. ``python -m harness.data`` uses all of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from harness.cache import Table
from harness.choice import chosen
from harness.errors import UserError

Progress = Callable[[int, int, str], None]
"""Called with the steps done, their total, and a description of the work."""


class Source(NamedTuple):
    """A file that the benchmark's authors publish, or a form that is accepted in its place."""

    name: str
    size: str
    checksum: str
    published: str
    """Where its authors publish it."""
    needed_by: str
    """Benchmarks or data sets that need it."""
    remark: str


class State(NamedTuple):
    """A source in the data folders, an imported table, or both."""

    text: str
    source: Path | None
    table: Path | None
    needed_by: str
    """Equal to ``needed_by`` of the sources that it satisfies."""


class Library(ABC):
    """The sources of one benchmark. All methods work on a machine without any data."""

    name: ClassVar[str]
    """Title in the output of the command, and the folder in the cache."""
    choosable: ClassVar[bool] = False
    """True if ``NAS_TABLE`` can name one of the tables."""

    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """Return every known source, the preferred one first."""

    @abstractmethod
    def state(self) -> Sequence[State]:
        """Return the present sources and imported tables, the preferred one first. Import nothing."""

    @abstractmethod
    def recognise(self, path: Path) -> str | None:
        """Return the kind of source that ``path`` is by its content, or None. Open no pickle and raise nothing."""

    @abstractmethod
    def unrecognised(self, path: Path) -> str:
        """Return why ``path`` is not recognised, as a clause: ``is empty``, ``is no ...``."""

    @abstractmethod
    def passed_over(self) -> dict[str, str]:
        """Return unusable files and tables by path, and why each cannot be used: ``is a named pipe``, ..."""

    @abstractmethod
    def import_path(self, path: Path, progress: Progress = ..., force: bool = False) -> Table:
        """Import a file or folder of any name, and return the table. Keep a table that is imported and intact.

        Args:
            progress: called while the import runs.
            force: import again, and read single-file forms even if memory seems too small.

        Raises:
            UserError: the path is missing, not recognised, damaged, or refused; nothing is imported.
        """

    @abstractmethod
    def verify(self) -> list[str]:
        """Compare all imported columns with their checksums. Return a line per table; a damaged one begins with ``damaged``."""

    def matches(self, text: str) -> bool:
        """Return whether ``text``, a path or the start of a kind's name, chooses one of the tables."""
        return False


def libraries() -> list[Library]:
    """Return the library of every package in ``benchmarks`` that has one, sorted by package name."""
    package = importlib.import_module("benchmarks")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    modules = [f"benchmarks.{name}.library" for name in names]
    return [importlib.import_module(name).LIBRARY for name in modules if importlib.util.find_spec(name) is not None]


def check_choice() -> None:
    """Raise :class:`UserError`, one line with the tables present, if ``NAS_TABLE`` names no table."""
    text = chosen()
    choosable = [library for library in libraries() if library.choosable]
    if not text or any(library.matches(text) for library in choosable):
        return
    present = [f"{library.name}: {state.text}" for library in choosable for state in library.state()]
    raise UserError(
        f"no table {text!r}; there is {'; '.join(present) or 'none'}. Name one by its path or the start of its kind"
    )
