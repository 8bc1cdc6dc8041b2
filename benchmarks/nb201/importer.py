"""Finds and imports the NAS-Bench-201 / NATS-Bench topology records: official files and plain tables into compact tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.nb201 import columns, official
from benchmarks.nb201.columns import PLAIN
from benchmarks.nb201.official import NATS, NB201, V10, V11
from benchmarks.nb201.sources import sources
from benchmarks.nb201.table import SIZE
from benchmarks.tables import text
from benchmarks.tables.importing import NOTHING, Library, Opened, Progress, Source, State
from harness.cache import TableWriter, sha256
from harness.errors import UserError
from harness.look import is_folder, look

__all__ = [
    "NAME",
    "Source",
    "State",
    "find_table",
    "import_path",
    "is_chosen",
    "line",
    "matches",
    "passed_over",
    "recognise",
    "sources",
    "state",
    "unrecognised",
    "verify",
]


class NB201Library(Library):
    """Official files, NATS-Bench before NAS-Bench-201 v1.1 before v1.0, before plain columns."""

    name = "nb201"
    size = SIZE
    ranks = {NATS: 0, V11: 1, NB201: 1, V10: 2, PLAIN: 3}
    quick = frozenset({PLAIN})
    suffixes = (".pth", ".pbz2", *columns.SUFFIXES)
    mark = official.META

    def sources(self) -> list[Source]:
        return sources()

    def sniff(self, path: Path) -> str | None:
        kind = official.sniff(path)
        return columns.sniff(path) if kind is None and path.name.lower().endswith(columns.SUFFIXES) else kind

    def count(self, path: Path) -> int | None:
        return len(official.architecture_files(path)) if is_folder(path) else None

    def parts(self, path: Path) -> list[Path]:
        if is_folder(path):
            return [path, path / official.META]
        seeds = columns.companion(path)
        return [path] if seeds is None else [path, seeds]

    def checksum(self, path: Path, progress: Progress) -> str:
        """Of a folder: SHA-256 of its file names, sizes and SHA-256."""
        if path.is_file():
            return super().checksum(path, progress)
        files = [path / official.META, *official.architecture_files(path)]
        total = hashlib.sha256()
        for done, file in enumerate(files):
            progress(done, len(files), "checksum of the files")
            total.update(f"{file.name} {file.stat().st_size} {sha256(file)}\n".encode())
        return total.hexdigest()

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        if kind == PLAIN:
            return Opened(PLAIN, lambda writer: _write_plain(path, writer))
        content = official.open_source(path, kind, progress, force)
        return Opened(content.kind, lambda writer: _write_official(path, content, writer, progress))

    def foreign(self, path: Path) -> str:
        if path.is_dir():
            return f"is no NATS-Bench folder: it holds no {official.META} of the topology benchmark"
        if path.name.startswith(columns.COMPANION) and path.name.lower().endswith(columns.SUFFIXES):
            return "has values of single seeds only; it is used together with a table of means that lies beside it"
        found = look(path, lambda path: text.described(path) if path.name.lower().endswith(text.SUFFIXES) else None).kind
        known = "is not a NAS-Bench-201 or NATS-Bench topology file, nor a table of the known columns"
        return known + (f": {found}" if found else "")


def _write_plain(path: Path, writer: TableWriter) -> dict[str, Any]:
    content, notes = columns.read(path)
    for column, values in content.items():
        writer.add(column, values)
    return {"seeds": _seeds(list(content)), "n": SIZE, "notes": notes}


def _write_official(path: Path, opened: official.Content, writer: TableWriter, progress: Progress) -> dict[str, Any]:
    from benchmarks.nb201.records import RecordColumns

    table = RecordColumns(writer, opened.kind)
    try:
        for done, (index, states) in enumerate(opened.records):
            progress(done, opened.count, "importing architectures")
            table.add(index, states)
    except UserError as error:
        said = str(error)
        raise error if said.endswith(NOTHING) else UserError(f"{path}: {said}. {NOTHING}") from None
    progress(opened.count, opened.count, "importing architectures")
    notes = [] if opened.count == SIZE else [f"records of {opened.count:,} of {SIZE:,} architectures"]
    return {"seeds": _seeds(table.finish()), "n": opened.count, "notes": notes}


def _seeds(names: list[str]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for column in names:
        dataset, recipe, seed = column.split("/")[:3]
        found.setdefault(f"{dataset}/{recipe}", set()).add(seed)
    return {key: sorted(seeds) for key, seeds in sorted(found.items())}


_library = NB201Library()
NAME = _library.name
recognise, state, find_table = _library.recognise, _library.state, _library.find_table
import_path, verify, unrecognised = _library.import_path, _library.verify, _library.unrecognised
passed_over, matches, is_chosen, line = _library.passed_over, _library.matches, _library.is_chosen, _library.line
