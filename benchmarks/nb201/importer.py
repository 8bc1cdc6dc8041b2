"""Finds and imports the NAS-Bench-201 / NATS-Bench topology records: official files and plain tables into compact tables."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.nb201 import columns, official
from benchmarks.nb201.columns import PLAIN
from benchmarks.nb201.official import NATS, NB201, V10, V11, Progress
from benchmarks.nb201.search import candidates, entries, remember, stamp
from benchmarks.nb201.sources import Source, sources
from benchmarks.nb201.table import SIZE
from harness.cache import Table, TableWriter, cache_root, explain, sha256
from harness.problem import UserError

__all__ = ["NAME", "Source", "State", "find_table", "import_path", "recognise", "sources", "state", "verify"]

NAME = "nb201"

RANK = {NATS: 0, V11: 1, NB201: 1, V10: 2, PLAIN: 3}
"""Which source is preferred: the richer one."""


class State(NamedTuple):
    """Something that is there: a source in the data folders, an imported table, or both."""

    text: str
    source: Path | None
    table: Path | None


def recognise(path: Path) -> str | None:
    """What ``path`` is, by its content, or None. Opens no pickle."""
    try:
        return official.sniff(path) or (columns.sniff(path) if path.is_file() else None)
    except OSError:
        return None


def state() -> list[State]:
    """What lies in the data folders and what is imported, best first. Imports nothing."""
    found = []
    for option in _options():
        table = option.table
        if table is None:
            found.append((option.rank, State(f"{option.kind}, found, imported on first use", option.source, None)))
        else:
            meta = table.meta
            when = f"imported {meta['imported_at'][:10]} in {meta['import_seconds']} s"
            text = f"{meta['kind']}, {meta['n']:,} architectures, {when}"
            found.append((option.rank, State(text, option.source, table.path)))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def find_table(announce: Callable[[str], None]) -> Table | None:
    """The best table there is, or None: NATS-Bench before NAS-Bench-201 v1.1 before v1.0 before plain columns.

    What lies in the data folders but is not imported yet is imported, and ``announce`` is told in one line. A source that
    cannot be imported is announced and passed over; where it is the only one, its :class:`UserError` is raised.
    """
    failed: UserError | None = None
    for option in _options():
        if option.table is not None:
            return option.table
        assert option.source is not None
        if option.kind != PLAIN:
            announce(f"importing {option.source.name} ({option.kind}), once; this takes a while …")
        try:
            started = time.perf_counter()
            table = import_path(option.source)
        except UserError as error:
            announce(f"passing over {option.source.name}: {error}")
            failed = failed or error
            continue
        announce(f"importing {option.source.name} ({table.meta['kind']}) … {time.perf_counter() - started:.1f} s")
        return table
    if failed is not None:
        raise failed
    return None


def import_path(path: Path, progress: Progress = lambda done, total, text: None, force: bool = False) -> Table:
    """Imports a file or folder, whatever its name, and returns the table. What is imported and intact is left as it is.

    Args:
        progress: told (done, total, what is being done).
        force: imports again, and reads single-file forms even where memory seems too small.

    Raises :class:`UserError`: missing, not recognised, damaged, or refused; then nothing was imported.
    """
    path = Path(os.path.abspath(path.expanduser()))
    kind = recognise(path)
    if kind is None:
        raise UserError(_unrecognised(path))
    mark = stamp(path)
    try:
        known = _open_intact(_known_table(path, mark))
        if known is not None and not force:
            progress(1, 1, "already imported, nothing to do")
            return known
        checksum = _checksum(path, progress)
        existing = _open_intact(next((t.path for t in _tables() if t.meta["source"]["sha256"] == checksum), None))
        if existing is not None and not force:
            progress(1, 1, "already imported under another name, nothing to do")
            table = existing
        else:
            table = _import(path, kind, checksum, progress, force)
        remember(_home(), {str(path): {"stamp": mark, "kind": table.meta["kind"], "table": table.path.name}})
    except OSError as error:
        raise explain(error, f"import {path}") from None
    return table


def verify() -> list[str]:
    """Compares every imported column with its checksum; one line per table, that of a damaged one begins with ``damaged``."""
    lines = []
    for folder in _folders():
        try:
            table = Table(folder)
            table.verify()
            lines.append(f"intact: {folder} ({table.meta['kind']}, {len(table.columns)} columns)")
        except UserError as error:
            lines.append(f"damaged: {error}")
    return lines


def _import(path: Path, kind: str, checksum: str, progress: Progress, force: bool) -> Table:
    started = time.perf_counter()
    if kind == PLAIN:
        content, notes = columns.read(path)
        source_kind, count = PLAIN, SIZE
    else:
        opened = official.open_source(path, kind, progress, force)
        source_kind, count, notes = opened.kind, opened.count, []
        if count < SIZE:
            notes.append(f"records of {count:,} of {SIZE:,} architectures")
    target = _home() / f"{re.sub(r'[^a-z0-9.]+', '-', source_kind.lower())}-{checksum[:12]}"
    with TableWriter(target) as writer:
        if kind == PLAIN:
            for column, values in content.items():
                writer.add(column, values)
            names = list(content)
        else:
            names = _write_official(path, opened, writer, progress)
        meta = {
            "benchmark": NAME,
            "kind": source_kind,
            "source": {"file": path.name, "path": str(path), "sha256": checksum},
            "seeds": _seeds(names),
            "n": count,
            "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "import_seconds": round(time.perf_counter() - started, 2),
            "notes": notes,
        }
        try:
            table = writer.commit(meta)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            table = Table(target)  # another process imported the same source meanwhile
    return table


def _write_official(path: Path, opened: official.Content, writer: TableWriter, progress: Progress) -> list[str]:
    from benchmarks.nb201.records import RecordColumns

    table = RecordColumns(writer, opened.kind)
    try:
        for done, (index, states) in enumerate(opened.records):
            progress(done, opened.count, "importing architectures")
            table.add(index, states)
    except UserError as error:
        text = str(error)
        raise error if "Nothing was imported" in text else UserError(f"{path}: {text}. Nothing was imported.") from None
    progress(opened.count, opened.count, "importing architectures")
    return table.finish()


def _seeds(names: list[str]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for column in names:
        dataset, recipe, seed = column.split("/")[:3]
        found.setdefault(f"{dataset}/{recipe}", set()).add(seed)
    return {key: sorted(seeds) for key, seeds in sorted(found.items())}


def _checksum(path: Path, progress: Progress) -> str:
    """SHA-256 of a file (with its companion's), or of a folder's file names, sizes and SHA-256."""
    if path.is_file():
        beside = columns.companion(path) if recognise(path) == PLAIN else None
        progress(0, 1, f"checksum of {path.name}")
        return sha256(path) if beside is None else hashlib.sha256(f"{sha256(path)} {sha256(beside)}".encode()).hexdigest()
    files = [path / official.META, *official.architecture_files(path)]
    total = hashlib.sha256()
    for done, file in enumerate(files):
        progress(done, len(files), "checksum of the files")
        total.update(f"{file.name} {file.stat().st_size} {sha256(file)}\n".encode())
    return total.hexdigest()


class _Option(NamedTuple):
    rank: tuple[int, int, int]
    kind: str
    source: Path | None
    table: Table | None


def _options() -> list[_Option]:
    """What could be used, best first: sources in the data folders, then tables whose source is not there (any more)."""
    options = []
    seen = entries(_home())
    learned: dict[str, Any] = {}
    tables = {table.path.name: table for table in _tables()}
    used = set()
    for path in candidates():
        mark = stamp(path)
        entry = seen.get(str(path))
        if entry is None or entry["stamp"] != mark:
            entry = learned[str(path)] = {"stamp": mark, "kind": recognise(path), "table": None}
        if entry["kind"] is None:
            continue
        table = tables.get(entry["table"] or "")
        used.add(entry["table"])
        size = 0 if path.is_dir() else -path.stat().st_size  # the folder first; v1.1 is larger than v1.0
        options.append(_Option((RANK[entry["kind"]], 0, size), entry["kind"], path, table))
    if learned:
        remember(_home(), learned)
    for table in tables.values():
        if table.path.name not in used:
            kind = table.meta["kind"]
            options.append(_Option((RANK[kind], 1, -table.meta["n"]), kind, None, table))
    return sorted(options, key=lambda option: option.rank)


def _home() -> Path:
    return cache_root() / NAME


def _folders() -> list[Path]:
    home = _home()
    try:
        return sorted(folder for folder in home.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    except OSError:
        return []


def _tables() -> list[Table]:
    """The imported tables, without those that cannot be opened."""
    tables = []
    for folder in _folders():
        try:
            table = Table(folder)
        except UserError:
            continue
        if table.meta.get("kind") in RANK:
            tables.append(table)
    return tables


def _known_table(path: Path, mark: Any) -> Path | None:
    entry = entries(_home()).get(str(path))
    return _home() / entry["table"] if entry and entry["stamp"] == mark and entry["table"] else None


def _open_intact(folder: Path | None) -> Table | None:
    if folder is None:
        return None
    try:
        table = Table(folder)
        table.verify()
    except UserError:
        return None
    return table


def _unrecognised(path: Path) -> str:
    """Why nothing here knows ``path``, as one line."""
    if not path.exists():
        return f"{path} does not exist"
    if path.is_dir():
        return f"{path} is no NATS-Bench folder: it holds no {official.META} of the topology benchmark. Nothing was imported."
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(512)
    reason = "is not a NAS-Bench-201 or NATS-Bench topology file, nor a table of the known columns"
    if size == 0:
        reason = "is empty"
    elif b"ustar" in start:
        reason = "is a tar archive; unpack it (tar xf) and import the folder"
    elif columns.companion(path.with_name("-" + path.suffix)) == path:
        reason = "has values of single seeds only; it is used together with a table of means that lies beside it"
    elif start[:4] in (b"PK\x03\x04", b"PAR1"):
        reason = "is damaged, or " + reason
    return f"{path} {reason} ({size:,} bytes present). Nothing was imported."
