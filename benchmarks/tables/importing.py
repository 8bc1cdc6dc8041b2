"""The tables of one benchmark: which sources there are, which is best, and importing one into the cache."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from benchmarks.tables.search import candidates, entries, remember, stamp
from harness.cache import Table, TableWriter, cache_root, explain, sha256
from harness.problem import UserError

Progress = Callable[[int, int, str], None]
"""Told (done, total, what is being done)."""

NOTHING = "Nothing was imported."


class Source(NamedTuple):
    """A file that the benchmark's authors publish, or a form that is accepted in its place."""

    name: str
    size: str
    checksum: str
    published: str
    needed_by: str
    remark: str


class State(NamedTuple):
    """Something that is there: a source in the data folders, an imported table, or both."""

    text: str
    source: Path | None
    table: Path | None


class Opened(NamedTuple):
    """A source that is about to become a table."""

    kind: str
    """What it turned out to be; may be more precise than what its first bytes told."""
    write: Callable[[TableWriter], dict[str, Any]]
    """Writes the columns and returns what ``meta.json`` says of them: ``n`` (architectures), ``notes``, ..."""


class Library(ABC):
    """Finds and imports the sources of one benchmark. A subclass says what its sources are and how one is read."""

    name: ClassVar[str]
    """The benchmark's folder in the cache."""
    ranks: ClassVar[Mapping[str, int]]
    """Every kind of source, and of table; the lowest rank is preferred."""
    quick: ClassVar[frozenset[str]] = frozenset()
    """Kinds whose import is not worth a line beforehand."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of files that may be sources, in lower case."""
    mark: ClassVar[str | None] = None
    """A file that makes the folder it lies in a source."""

    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """Every known source, the preferred one first."""

    @abstractmethod
    def sniff(self, path: Path) -> str | None:
        """The kind of source that ``path`` is, by its first bytes, or None. May raise OSError."""

    @abstractmethod
    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        """Opens what :meth:`sniff` recognised. Raises :class:`UserError` that ends in :data:`NOTHING`."""

    @abstractmethod
    def foreign(self, path: Path) -> str:
        """What ``path``, which exists and is not recognised, is not: ``is no ...``."""

    def parts(self, path: Path) -> list[Path]:
        """What a source consists of: itself, and what is imported with it."""
        return [path]

    def checksum(self, path: Path, progress: Progress) -> str:
        """SHA-256 of a file, or of the SHA-256 of several."""
        progress(0, 1, f"checksum of {path.name}")
        sums = [sha256(part) for part in self.parts(path)]
        return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()

    def recognise(self, path: Path) -> str | None:
        """What ``path`` is, by its content, or None. Opens no pickle."""
        try:
            return self.sniff(path)
        except OSError:
            return None

    def state(self) -> list[State]:
        """What lies in the data folders and what is imported, best first. Imports nothing."""
        found = []
        for option in self._options():
            table = option.table
            if table is None:
                found.append(State(f"{option.kind}, found, imported on first use", option.source, None))
            else:
                meta = table.meta
                when = f"imported {meta['imported_at'][:10]} in {meta['import_seconds']} s"
                text = f"{meta['kind']}, {meta['n']:,} {meta.get('unit', 'architectures')}, {when}"
                found.append(State(text, option.source, table.path))
        return found

    def find_table(self, announce: Callable[[str], None]) -> Table | None:
        """The best table there is, or None.

        What lies in the data folders but is not imported yet is imported, and ``announce`` is told in one line. A source that
        cannot be imported is announced and passed over; where it is the only one, its :class:`UserError` is raised.
        """
        failed: UserError | None = None
        for option in self._options():
            if option.table is not None:
                return option.table
            assert option.source is not None
            if option.kind not in self.quick:
                announce(f"importing {option.source.name} ({option.kind}), once; this takes a while …")
            try:
                started = time.perf_counter()
                table = self.import_path(option.source)
            except UserError as error:
                announce(f"passing over {option.source.name}: {error}")
                failed = failed or error
                continue
            announce(f"importing {option.source.name} ({table.meta['kind']}) … {time.perf_counter() - started:.1f} s")
            return table
        if failed is not None:
            raise failed
        return None

    def import_path(self, path: Path, progress: Progress = lambda done, total, text: None, force: bool = False) -> Table:
        """Imports a file or folder, whatever its name, and returns the table. What is imported and intact is left as it is.

        Args:
            progress: told (done, total, what is being done).
            force: imports again, and reads single-file forms even where memory seems too small.

        Raises :class:`UserError`: missing, not recognised, damaged, or refused; then nothing was imported.
        """
        path = Path(os.path.abspath(path.expanduser()))
        kind = self.recognise(path)
        if kind is None:
            raise UserError(f"{path} {self.unrecognised(path)}. {NOTHING}")
        mark = stamp(self.parts(path))
        try:
            known = _open_intact(self._known_table(path, mark))
            if known is not None and not force:
                progress(1, 1, "already imported, nothing to do")
                return known
            checksum = self.checksum(path, progress)
            same = (table.path for table in self._tables() if table.meta["source"]["sha256"] == checksum)
            existing = _open_intact(next(same, None))
            if existing is not None and not force:
                progress(1, 1, "already imported under another name, nothing to do")
                table = existing
            else:
                table = self._import(path, kind, checksum, progress, force)
            remember(self._home(), {str(path): {"stamp": mark, "kind": table.meta["kind"], "table": table.path.name}})
        except OSError as error:
            raise explain(error, f"import {path}") from None
        return table

    def verify(self) -> list[str]:
        """Compares every imported column with its checksum; one line per table, a damaged one's begins with ``damaged``."""
        lines = []
        for folder in self._folders():
            try:
                table = Table(folder)
                table.verify()
                lines.append(f"intact: {folder} ({table.meta['kind']}, {len(table.columns)} columns)")
            except UserError as error:
                lines.append(f"damaged: {error}")
        return lines

    def unrecognised(self, path: Path) -> str:
        """Why ``path`` is nothing here: ``does not exist``, ``is empty``, ``is no ...``."""
        if not path.exists():
            return "does not exist"
        if path.is_dir():
            return self.foreign(path)
        with path.open("rb") as file:
            start = file.read(512)
        if not start:
            reason = "is empty"
        elif b"ustar" in start:
            reason = "is a tar archive; unpack it (tar xf) and import the folder"
        else:
            reason = self.foreign(path)
            if start[:4] in (b"PK\x03\x04", b"PAR1"):
                reason = f"is damaged, or {reason}"
        return f"{reason} ({path.stat().st_size:,} bytes present)"

    def _import(self, path: Path, kind: str, checksum: str, progress: Progress, force: bool) -> Table:
        started = time.perf_counter()
        opened = self.open(path, kind, progress, force)
        target = self._home() / f"{re.sub(r'[^a-z0-9.]+', '-', opened.kind.lower())}-{checksum[:12]}"
        with TableWriter(target) as writer:
            content = opened.write(writer)
            meta = {
                "benchmark": self.name,
                "kind": opened.kind,
                "source": {"file": path.name, "path": str(path), "sha256": checksum},
                **content,
                "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "import_seconds": round(time.perf_counter() - started, 2),
            }
            try:
                return writer.commit(meta)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return Table(target)  # another process imported the same source meanwhile

    def _options(self) -> list[_Option]:
        """What could be used, best first: sources in the data folders, then tables whose source is not there (any more)."""
        options = []
        seen = entries(self._home())
        learned: dict[str, Any] = {}
        tables = {table.path.name: table for table in self._tables()}
        used = set()
        for path in candidates(self.suffixes, self.mark):
            mark = stamp(self.parts(path))
            entry = seen.get(str(path))
            if entry is None or entry["stamp"] != mark:
                entry = learned[str(path)] = {"stamp": mark, "kind": self.recognise(path), "table": None}
            if entry["kind"] is None:
                continue
            table = tables.get(entry["table"] or "")
            used.add(entry["table"])
            size = 0 if path.is_dir() else -path.stat().st_size  # a folder first; then the larger file, which has more
            options.append(_Option((self.ranks[entry["kind"]], 0, size), entry["kind"], path, table))
        if learned:
            remember(self._home(), learned)
        for table in tables.values():
            if table.path.name not in used:
                kind = table.meta["kind"]
                options.append(_Option((self.ranks[kind], 1, -table.meta["n"]), kind, None, table))
        return sorted(options, key=lambda option: option.rank)

    def _home(self) -> Path:
        return cache_root() / self.name

    def _folders(self) -> list[Path]:
        try:
            inside = sorted(self._home().iterdir())
        except OSError:
            return []
        return [folder for folder in inside if folder.is_dir() and not folder.name.startswith(".")]

    def _tables(self) -> list[Table]:
        """The imported tables, without those that cannot be opened."""
        tables = []
        for folder in self._folders():
            try:
                table = Table(folder)
            except UserError:
                continue
            if table.meta.get("kind") in self.ranks:
                tables.append(table)
        return tables

    def _known_table(self, path: Path, mark: Any) -> Path | None:
        entry = entries(self._home()).get(str(path))
        return self._home() / entry["table"] if entry and entry["stamp"] == mark and entry["table"] else None


class _Option(NamedTuple):
    rank: tuple[int, int, int]
    kind: str
    source: Path | None
    table: Table | None


def _open_intact(folder: Path | None) -> Table | None:
    if folder is None:
        return None
    try:
        table = Table(folder)
        table.verify()
    except UserError:
        return None
    return table
