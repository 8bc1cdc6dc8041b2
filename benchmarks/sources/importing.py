"""Recognise the sources of one benchmark, import them into the cache, and verify the imported tables."""

from __future__ import annotations

import errno
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from benchmarks.sources.files import Stamp, stamp
from harness.cache import Table, TableWriter, cache_root, explain, imported, printable
from harness.errors import UserError
from harness.library import Library, Progress
from harness.look import is_folder, look, odd, opened

NOTHING = "Nothing was imported."


class Opened(NamedTuple):
    """A source that is ready to become a table."""

    kind: str
    """Kind of the table; may be more precise than the kind that :meth:`SourceLibrary.sniff` returned."""
    write: Callable[[TableWriter], dict[str, Any]]
    """Write the columns and return further entries of ``meta.json``: ``n`` (rows), ``unit``, ``notes``, ..."""


class SourceLibrary(Library):
    """A library of files that become tables in the cache. A subclass defines its sources and how to read each one."""

    described: ClassVar[tuple[str, ...]] = ()
    """Further entries that ``meta.json`` of every table must have. A table without them counts as damaged."""
    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes, in lower case, of files that may be sources."""

    @property
    @abstractmethod
    def kinds(self) -> Collection[str]:
        """Return every kind of source and of table."""

    @abstractmethod
    def sniff(self, path: Path) -> str | None:
        """Return the kind of source that ``path`` is by its first bytes, or None.

        Read a bounded amount. Any exception is allowed: :func:`harness.look.look` turns it into a reason.
        """

    @abstractmethod
    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        """Open a source of the kind that :meth:`sniff` returned.

        Raises:
            UserError: the source is damaged or refused. The message ends in :data:`NOTHING`.
        """

    @abstractmethod
    def foreign(self, path: Path) -> str:
        """Return a clause about an existing ``path`` that is not recognised: ``is no ...``."""

    @abstractmethod
    def parts(self, path: Path) -> list[Path]:
        """Return the files whose stamps identify the content of a source: the source, and files imported with it."""

    def recognise(self, path: Path) -> str | None:
        return look(path, self.sniff).kind

    def unrecognised(self, path: Path) -> str:
        why = look(path, self.sniff).why
        if odd(path):
            return odd(path)
        if is_folder(path):
            return self.foreign(path)
        try:
            with opened(path) as file:
                start, size = file.read(512), path.stat().st_size
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        if not start:
            clause = "is empty"
        elif b"ustar" in start:
            clause = "is a tar archive; unpack it (tar xf) and import the folder"
        else:
            clause = self.foreign(path) + (f": {why}" if why else "")
            if start[:4] in (b"PK\x03\x04", b"PAR1"):
                clause = f"is damaged, or {clause}"
        return f"{clause} ({size:,} bytes present)"

    def passed_over(self) -> dict[str, str]:
        failed = self._unusable()
        for folder in self._folders():
            try:
                self._opened(folder)
            except UserError as error:
                failed[str(folder)] = str(error)
        return failed

    def import_path(self, path: Path, progress: Progress = lambda done, total, text: None, force: bool = False) -> Table:
        path = Path(os.path.abspath(path.expanduser()))
        kind = self.recognise(path)
        if kind is None:
            raise UserError(f"{printable(path)} {self.unrecognised(path)}. {NOTHING}")
        try:
            mark = stamp(self.parts(path))
            known = None if force else self._intact(self._known(path, kind, mark))
            if known is not None:
                progress(1, 1, "already imported, nothing to do")
                return known
            return self._import(path, kind, mark, progress, force)
        except OSError as error:
            raise explain(error, f"import {path}") from None

    def verify(self) -> list[str]:
        lines = []
        for folder in self._folders():
            try:
                table = self._opened(folder)
                table.verify()
                lines.append(f"intact: {folder} ({table.meta['kind']}, {len(table.columns)} columns)")
            except UserError as error:
                lines.append(f"damaged: {error}")
        return lines

    @abstractmethod
    def _unusable(self) -> dict[str, str]:
        """Return candidates in the data folders that could not be examined, and why, by path."""

    @abstractmethod
    def _known(self, path: Path, kind: str, mark: Stamp) -> Path | None:
        """Return the folder of the table imported from this source with this stamp, or None."""

    @abstractmethod
    def _import(self, path: Path, kind: str, mark: Stamp, progress: Progress, force: bool) -> Table:
        """Import a recognised source, with :meth:`_write`."""

    @abstractmethod
    def _folder(self, kind: str, source: Mapping[str, Any]) -> Path:
        """Return the folder of a table of this kind, imported from a source with this identity."""

    def _write(self, path: Path, kind: str, source: Mapping[str, Any], progress: Progress, force: bool) -> Table:
        """Open a source and write its table.

        Args:
            source: identity of the source's content, stored in ``meta.json`` under ``source``.
        """
        started = time.perf_counter()
        content = self.open(path, kind, progress, force)
        folder = self._folder(content.kind, source)
        with TableWriter(folder) as writer:
            described = content.write(writer)
            meta = {
                "benchmark": self.name,
                "kind": content.kind,
                "source": {"file": printable(path.name), "path": printable(path), **source},
                **described,
                "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "import_seconds": round(time.perf_counter() - started, 2),
            }
            try:
                return writer.commit(meta)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return self._opened(folder)  # another process imported the same source meanwhile

    def _home(self) -> Path:
        return cache_root() / self.name

    def _folders(self) -> list[Path]:
        """Return the folders of all imported tables, damaged ones included."""
        try:
            entries = sorted(self._home().iterdir())
        except OSError:
            return []
        return [folder for folder in entries if folder.is_dir() and not folder.name.startswith(".")]

    def _opened(self, folder: Path) -> Table:
        """Open an imported table. Raises :class:`UserError` if its description is damaged."""
        table = imported(folder, self.described)
        if table.meta["kind"] not in self.kinds:
            kind = str(table.meta["kind"])[:60]
            raise UserError(f"{folder} is damaged: it is of an unknown kind {kind!r}; delete it and import again")
        return table

    def _intact(self, folder: Path | None) -> Table | None:
        """Return the table in ``folder`` if its description and all its columns are undamaged, else None."""
        if folder is None:
            return None
        try:
            table = self._opened(folder)
            table.verify()
        except UserError:
            return None
        return table
