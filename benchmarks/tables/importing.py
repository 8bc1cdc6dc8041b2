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
from harness.cache import Table, TableWriter, cache_root, explain, imported, printable, sha256
from harness.choice import chosen, named
from harness.errors import UserError
from harness.look import is_folder, look, odd, opened

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
    size: ClassVar[int | None] = None
    """How many architectures a complete table records; None where tables are not counted so."""
    described: ClassVar[tuple[str, ...]] = ()
    """What ``meta.json`` says of a table besides what every table says; a table without it is damaged."""
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
        """Return the kind of source that ``path`` is, by its first bytes, or None.

        Reads a bounded amount, and may raise anything: see :func:`harness.look.look`.
        """

    @abstractmethod
    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        """Opens what :meth:`sniff` recognised. Raises :class:`UserError` that ends in :data:`NOTHING`."""

    @abstractmethod
    def foreign(self, path: Path) -> str:
        """What ``path``, which exists and is not recognised, is not: ``is no ...``."""

    def count(self, path: Path) -> int | None:
        """Return how many architectures a source records, where that is cheap to tell."""
        return None

    def parts(self, path: Path) -> list[Path]:
        """What a source consists of: itself, and what is imported with it."""
        return [path]

    def checksum(self, path: Path, progress: Progress) -> str:
        """SHA-256 of a file, or of the SHA-256 of several."""
        progress(0, 1, f"checksum of {path.name}")
        sums = [sha256(part) for part in self.parts(path)]
        return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()

    def recognise(self, path: Path) -> str | None:
        """Return what ``path`` is, by its content, or None. Opens no pickle, raises nothing."""
        return look(path, self.sniff).kind

    def state(self) -> list[State]:
        """Return what lies in the data folders and what is imported, best first. Imports nothing."""
        return [
            State(option.text if option.table else f"{option.kind}, found, imported on first use", option.source, option.folder)
            for option in self._options()
        ]

    def passed_over(self) -> dict[str, str]:
        """Return what cannot be used, by path, and why: files that could not be looked at, and damaged tables."""
        _, failed = self._sources()
        for folder in self._folders():
            try:
                self._opened(folder)
            except UserError as error:
                failed[str(folder)] = str(error)
        return failed

    def matches(self, text: str) -> bool:
        """Return whether ``text``, a path or the start of a kind's name, chooses one of the tables."""
        return any(option.chosen_by(text) for option in self._options(text))

    def find_table(self, announce: Callable[[str], None]) -> Table | None:
        """Return the best table there is, or None.

        A source in the data folders that is not imported yet is imported, with one line to ``announce``. A source that cannot
        be imported is announced and passed over; where it is the only one, its :class:`UserError` is raised. If ``NAS_TABLE``
        names one of the tables, that one is used and no other.
        """
        failed: dict[Path, UserError] = {}
        done: dict[Path, Table] = {}
        text = chosen()
        while True:
            options = self._options(text)
            options = [option for option in options if text and option.chosen_by(text)] or options
            option = next((option for option in options if option.table is not None or option.source not in failed), None)
            if option is None:
                if failed:
                    raise next(iter(failed.values()))
                return None
            if option.table is not None:
                return option.table
            source = option.source
            assert source is not None
            if source in done:
                return done[source]
            name = printable(source.name)
            if option.kind not in self.quick:
                announce(f"importing {name} ({option.kind}), once; this takes a while …")
            started = time.perf_counter()
            try:
                table = self.import_path(source)
            except UserError as error:
                announce(f"passing over {name}: {error}")
                failed[source] = error
                continue
            announce(f"importing {name} ({table.meta['kind']}) … {time.perf_counter() - started:.1f} s")
            done[source] = table  # it may be partial, or of another kind than it seemed: another source may be better

    def is_chosen(self, table: Table) -> bool:
        """Return whether ``NAS_TABLE`` names this table."""
        text = chosen()
        return bool(text) and any(
            option.table is not None and option.table.path == table.path and option.chosen_by(text)
            for option in self._options(text)
        )

    def line(self, table: Table) -> str:
        """Return which table this is, in one line: its kind, how many architectures it records, where it lies."""
        of = f" of {self.size:,}" if self.size else ""
        unit = table.meta.get("unit", "architectures")
        how = ", chosen" if self.is_chosen(table) else ""
        return f"{table.meta['kind']}, {table.meta['n']:,}{of} {unit}, from {table.meta['source']['file']}{how}"

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
            raise UserError(f"{printable(path)} {self.unrecognised(path)}. {NOTHING}")
        try:
            mark = stamp(self.parts(path))
            known = self._intact(self._known_table(path, mark))
            if known is not None and not force:
                progress(1, 1, "already imported, nothing to do")
                return known
            checksum = self.checksum(path, progress)
            same = (table.path for table in self._tables() if table.meta["source"]["sha256"] == checksum)
            existing = self._intact(next(same, None))
            if existing is not None and not force:
                progress(1, 1, "already imported under another name, nothing to do")
                table = existing
            else:
                table = self._import(path, kind, checksum, progress, force)
            entry = {"stamp": mark, "kind": table.meta["kind"], "table": table.path.name, "why": ""}
            remember(self._home(), {str(path): entry})
        except OSError as error:
            raise explain(error, f"import {path}") from None
        return table

    def verify(self) -> list[str]:
        """Compares every imported column with its checksum; one line per table, a damaged one's begins with ``damaged``."""
        lines = []
        for folder in self._folders():
            try:
                table = self._opened(folder)
                table.verify()
                lines.append(f"intact: {folder} ({table.meta['kind']}, {len(table.columns)} columns)")
            except UserError as error:
                lines.append(f"damaged: {error}")
        return lines

    def unrecognised(self, path: Path) -> str:
        """Return why ``path`` is nothing here: ``does not exist``, ``is empty``, ``is no ...``."""
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
            reason = "is empty"
        elif b"ustar" in start:
            reason = "is a tar archive; unpack it (tar xf) and import the folder"
        else:
            reason = self.foreign(path) + (f": {why}" if why else "")
            if start[:4] in (b"PK\x03\x04", b"PAR1"):
                reason = f"is damaged, or {reason}"
        return f"{reason} ({size:,} bytes present)"

    def _import(self, path: Path, kind: str, checksum: str, progress: Progress, force: bool) -> Table:
        started = time.perf_counter()
        opened = self.open(path, kind, progress, force)
        target = self._home() / f"{re.sub(r'[^a-z0-9.]+', '-', opened.kind.lower())}-{checksum[:12]}"
        with TableWriter(target) as writer:
            content = opened.write(writer)
            meta = {
                "benchmark": self.name,
                "kind": opened.kind,
                "source": {"file": printable(path.name), "path": printable(path), "sha256": checksum},
                **content,
                "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "import_seconds": round(time.perf_counter() - started, 2),
            }
            try:
                return writer.commit(meta)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                return self._opened(target)  # another process imported the same source meanwhile

    def _options(self, text: str = "") -> list[_Option]:
        """Return what could be used, best first.

        Complete tables come before partial ones, then what lies in the data folders before what is only imported, then the
        better kind, then the table that records more. ``text`` may name a source elsewhere.
        """
        sources, _ = self._sources(text)
        tables = {table.path.name: table for table in self._tables()}
        options = []
        used = set()
        for path, entry in sources.items():
            used.add(entry["table"])
            options.append(self._option(entry["kind"], path, tables.get(entry["table"] or "")))
        options += [self._option(table.meta["kind"], None, table) for name, table in tables.items() if name not in used]
        return sorted(options, key=lambda option: option.rank)

    def _option(self, kind: str, source: Path | None, table: Table | None) -> _Option:
        number = table.meta["n"] if table is not None else None if source is None else self.count(source)
        # a folder before files; of two files not imported yet, the larger one has more
        more = -number if number is not None else 0 if source is None or is_folder(source) else -source.stat().st_size
        return _Option((_partial(number, self.size), source is None, self.ranks[kind], more), kind, source, table)

    def _sources(self, text: str = "") -> tuple[dict[Path, dict[str, Any]], dict[str, str]]:
        """Return the usable sources in the data folders, and at the path ``text``; and why others could not be looked at."""
        known = entries(self._home())
        learned: dict[str, Any] = {}
        sources: dict[Path, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        elsewhere = [Path(os.path.abspath(Path(text).expanduser()))] if text and not odd(Path(text).expanduser()) else []
        for path in dict.fromkeys([*elsewhere, *candidates(self.suffixes, self.mark)]):
            why = odd(path)
            if why:
                failed[str(path)] = why
                continue
            try:
                mark = stamp(self.parts(path))
            except OSError as error:
                failed[str(path)] = f"cannot be read: {error.strerror or error}"
                continue
            entry = known.get(str(path))
            if entry is None or entry["stamp"] != mark or entry["kind"] not in {None, *self.ranks}:
                kind, why = look(path, self.sniff)
                entry = learned[str(path)] = {"stamp": mark, "kind": kind, "table": None, "why": why}
            if entry["kind"] is not None:
                sources[path] = entry
            elif entry["why"]:
                failed[str(path)] = entry["why"]
        if learned:
            remember(self._home(), learned)
        return sources, failed

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
                tables.append(self._opened(folder))
            except UserError:
                continue
        return tables

    def _opened(self, folder: Path) -> Table:
        """Open an imported table. Raises :class:`UserError` where its description is damaged."""
        table = imported(folder, self.described)
        if table.meta["kind"] not in self.ranks:
            kind = str(table.meta["kind"])[:60]
            raise UserError(f"{folder} is damaged: it is of an unknown kind {kind!r}; delete it and import again")
        return table

    def _intact(self, folder: Path | None) -> Table | None:
        if folder is None:
            return None
        try:
            table = self._opened(folder)
            table.verify()
        except UserError:
            return None
        return table

    def _known_table(self, path: Path, mark: Any) -> Path | None:
        entry = entries(self._home()).get(str(path))
        return self._home() / entry["table"] if entry and entry["stamp"] == mark and entry["table"] else None


class _Option(NamedTuple):
    """Something that could be used: a source in the data folders, an imported table, or both."""

    rank: tuple[bool, bool, int, int]
    """The lowest is best: partial, only imported, rank of the kind, minus how much it records."""
    kind: str
    source: Path | None
    table: Table | None

    @property
    def folder(self) -> Path | None:
        return None if self.table is None else self.table.path

    @property
    def text(self) -> str:
        """What the imported table is."""
        assert self.table is not None
        meta = self.table.meta
        when = f"imported {meta['imported_at'][:10]} in {meta['import_seconds']} s"
        return f"{meta['kind']}, {meta['n']:,} {meta.get('unit', 'architectures')}, {when}"

    def chosen_by(self, text: str) -> bool:
        """Return whether ``text`` is one of its paths, or the start of its kind."""
        kind = self.kind if self.table is None else self.table.meta["kind"]
        # a source that is not imported yet may turn out to be a more precise kind
        precise = self.table is None and text.lower().startswith(kind.lower())
        return precise or any(named(text, path, kind) for path in (self.source, self.folder))


def _partial(number: int | None, size: int | None) -> bool:
    return number is not None and size is not None and number < size
