"""Libraries of tabular benchmarks: remember the kind of each file, rank sources and tables, and open the best table."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from benchmarks.sources.files import Stamp, stamp
from benchmarks.sources.importing import SourceLibrary
from benchmarks.sources.memory import entries, remember
from harness.cache import Table, printable, sha256, walk
from harness.choice import chosen, named
from harness.errors import UserError
from harness.library import Progress, State
from harness.look import is_file, is_folder, look, odd


class TableLibrary(SourceLibrary):
    """A library of one tabular benchmark. The cache may have several tables, each from another source."""

    choosable = True
    needed_by: ClassVar[str]
    """Benchmarks that need a table."""
    size: ClassVar[int | None] = None
    """Rows of a complete table; None if tables have no fixed number of rows."""
    ranks: ClassVar[Mapping[str, int]]
    """Rank of every kind of source and of table; the lowest rank is preferred."""
    quick: ClassVar[frozenset[str]] = frozenset()
    """Kinds that are imported too fast for an announcement beforehand."""
    mark: ClassVar[str | None] = None
    """Name of a file that makes its folder a source."""

    @property
    def kinds(self) -> Collection[str]:
        return self.ranks.keys()

    def count(self, path: Path) -> int | None:
        """Return how many rows a source records, or None if counting them is expensive."""
        return None

    def parts(self, path: Path) -> list[Path]:
        return [path]

    def checksum(self, path: Path, progress: Progress) -> str:
        """Return the SHA-256 of a file, or of the SHA-256 of all parts."""
        progress(0, 1, f"checksum of {path.name}")
        sums = [sha256(part) for part in self.parts(path)]
        return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()

    def state(self) -> list[State]:
        return [State(option.text, option.source, option.folder, self.needed_by) for option in self._options()]

    def matches(self, text: str) -> bool:
        return any(option.chosen_by(text) for option in self._options(text))

    def table(self, path: str | Path | None = None) -> Table:
        """Return the table for queries outside a search. Import its source if it is not imported yet.

        Args:
            path: a source, or a table of plain columns; None: the table that a search would use.

        Raises:
            UserError: there is no table, or the source cannot be imported.
        """
        if path is not None:
            return self.import_path(Path(path))
        table = self.find_table(lambda line: print(line, file=sys.stderr))
        if table is None:
            raise UserError(f"no table for {self.needed_by}; see `python -m harness.data status`")
        return table

    def find_table(self, announce: Callable[[str], None]) -> Table | None:
        """Return the best table, or None without any source or table. Import a source of the data folders if necessary.

        If ``NAS_TABLE`` names a table, only that table is used.

        Args:
            announce: called with a line for every import, and for every source that cannot be imported. Such a source is
                skipped.

        Raises:
            UserError: no source can be imported, and there is no table.
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
            done[source] = table  # rank again: the table may be partial, or of another kind than the source seemed to be

    def is_chosen(self, table: Table) -> bool:
        """Return whether ``NAS_TABLE`` names this table."""
        text = chosen()
        return bool(text) and any(
            option.table is not None and option.table.path == table.path and option.chosen_by(text)
            for option in self._options(text)
        )

    def line(self, table: Table) -> str:
        """Return a description of a table in one line: its kind, number of rows and source file."""
        of = f" of {self.size:,}" if self.size else ""
        unit = table.meta.get("unit", "architectures")
        how = ", chosen" if self.is_chosen(table) else ""
        return f"{table.meta['kind']}, {table.meta['n']:,}{of} {unit}, from {table.meta['source']['file']}{how}"

    def _unusable(self) -> dict[str, str]:
        return self._sources()[1]

    def _known(self, path: Path, kind: str, mark: Stamp) -> Path | None:
        entry = entries(self._home()).get(str(path))
        return self._home() / entry["table"] if entry and entry["stamp"] == mark and entry["table"] else None

    def _import(self, path: Path, kind: str, mark: Stamp, progress: Progress, force: bool) -> Table:
        checksum = self.checksum(path, progress)
        same = (table.path for table in self._tables() if table.meta["source"]["sha256"] == checksum)
        table = None if force else self._intact(next(same, None))
        if table is not None:
            progress(1, 1, "already imported under another name, nothing to do")
        else:
            table = self._write(path, kind, {"sha256": checksum}, progress, force)
        entry = {"stamp": mark, "kind": table.meta["kind"], "table": table.path.name, "why": ""}
        remember(self._home(), {str(path): entry})
        return table

    def _folder(self, kind: str, source: Mapping[str, Any]) -> Path:
        return self._home() / f"{re.sub(r'[^a-z0-9.]+', '-', kind.lower())}-{source['sha256'][:12]}"

    def _options(self, text: str = "") -> list[_Option]:
        """Return the usable sources and tables, best first.

        Complete tables come before partial ones, then sources in the data folders before tables without a source, then the
        better kind, then the table with more rows.

        Args:
            text: may be the path of a source outside the data folders.
        """
        sources, _ = self._sources(text)
        tables = {table.path.name: table for table in self._tables()}
        used = {entry["table"] for entry in sources.values()}
        options = [
            *(self._option(entry["kind"], path, tables.get(entry["table"] or "")) for path, entry in sources.items()),
            *(self._option(table.meta["kind"], None, table) for name, table in tables.items() if name not in used),
        ]
        return sorted(options, key=lambda option: option.rank)

    def _option(self, kind: str, source: Path | None, table: Table | None) -> _Option:
        number = table.meta["n"] if table is not None else None if source is None else self.count(source)
        # a folder before files; of two files that are not imported yet, the larger one probably has more rows
        more = -number if number is not None else 0 if source is None or is_folder(source) else -source.stat().st_size
        partial = number is not None and self.size is not None and number < self.size
        return _Option((partial, source is None, self.ranks[kind], more), kind, source, table)

    def _sources(self, text: str = "") -> tuple[dict[Path, dict[str, Any]], dict[str, str]]:
        """Examine the data folders, and the path ``text`` if it exists.

        Returns:
            The entry of each usable source, and the reason for each candidate that could not be examined.
        """
        known = entries(self._home())
        learned: dict[str, Any] = {}
        sources: dict[Path, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        elsewhere = [Path(os.path.abspath(Path(text).expanduser()))] if text and not odd(Path(text).expanduser()) else []
        for path in dict.fromkeys([*elsewhere, *self._candidates()]):
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

    def _candidates(self) -> Iterator[Path]:
        """Yield files with a known suffix, which may be irregular files, and marked folders, in the data folders."""
        for path in walk(self._marked):
            if self._marked(path) if is_folder(path) else path.name.lower().endswith(self.suffixes):
                yield path

    def _marked(self, folder: Path) -> bool:
        return self.mark is not None and is_file(folder / self.mark)

    def _tables(self) -> list[Table]:
        """Return the imported tables that can be opened."""
        tables = []
        for folder in self._folders():
            try:
                tables.append(self._opened(folder))
            except UserError:
                continue
        return tables


class _Option(NamedTuple):
    """A usable source in the data folders, an imported table, or both."""

    rank: tuple[bool, bool, int, int]
    """The lowest is best: partial, table without a source, rank of the kind, minus the number of rows."""
    kind: str
    source: Path | None
    table: Table | None

    @property
    def folder(self) -> Path | None:
        """Return the folder of the imported table."""
        return None if self.table is None else self.table.path

    @property
    def text(self) -> str:
        """Return kind and state of the option, for people."""
        if self.table is None:
            return f"{self.kind}, found, imported on first use"
        meta = self.table.meta
        when = f"imported {meta['imported_at'][:10]} in {meta['import_seconds']} s"
        return f"{meta['kind']}, {meta['n']:,} {meta.get('unit', 'architectures')}, {when}"

    def chosen_by(self, text: str) -> bool:
        """Return whether ``text`` is one of its paths, or the start of its kind."""
        kind = self.kind if self.table is None else self.table.meta["kind"]
        # a source that is not imported yet may turn out to be of a more precise kind
        precise = self.table is None and text.lower().startswith(kind.lower())
        return precise or any(named(text, path, kind) for path in (self.source, self.folder))
