"""Find the records of NAS-Bench-201 and NATS-Bench's topology space, and import official files and plain tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.nb201 import columns, official
from benchmarks.nb201.columns import PLAIN
from benchmarks.nb201.official import NATS, NB201, V10, V11
from benchmarks.nb201.table import SIZE
from benchmarks.sources import text
from benchmarks.sources.importing import NOTHING, Opened
from benchmarks.sources.tables import TableLibrary
from harness.cache import TableWriter, sha256
from harness.errors import UserError
from harness.library import Progress, Source
from harness.look import is_folder, look


class NB201Library(TableLibrary):
    """Official files and plain columns. NATS-Bench is preferred to NAS-Bench-201 v1.1, then v1.0, then plain columns."""

    name = "nb201"
    needed_by = "nb201/cifar10, nb201/cifar100, nb201/imagenet16-120"
    size = SIZE
    ranks = {NATS: 0, V11: 1, NB201: 1, V10: 2, PLAIN: 3}
    quick = frozenset({PLAIN})
    suffixes = (".pth", ".pbz2", *columns.SUFFIXES)
    mark = official.META

    def sources(self) -> list[Source]:
        nats = "README of github.com/D-X-Y/NATS-Bench"
        nb201 = "README of github.com/D-X-Y/NAS-Bench-201; docs of github.com/D-X-Y/AutoDL-Projects"
        return [
            Source(
                "NATS-tss-v1_0-3ffb9-simple",
                "size not published",
                "checksum not published",
                nats,
                self.needed_by,
                "recommended: a folder, from NATS-tss-v1_0-3ffb9-simple.tar (unpack it); read one architecture at a time",
            ),
            Source(
                "NATS-tss-v1_0-3ffb9.pickle.pbz2",
                "size not published",
                "checksum not published (its name carries 3ffb9 of one)",
                nats,
                self.needed_by,
                "the same records in one file, which takes tens of GB of memory to import (estimate: 30 times its size)",
            ),
            Source(
                "NAS-Bench-201-v1_1-096897.pth",
                "4.7 GB",
                "MD5 ends in 096897",
                nb201,
                self.needed_by,
                "read whole: about 28 GB of memory (estimate: 6 times its size)",
            ),
            Source(
                "NAS-Bench-201-v1_0-e61699.pth",
                "2.2 GB",
                "MD5 ends in e61699",
                nb201,
                self.needed_by,
                "deprecated by its authors: 12-epoch records of CIFAR-10 only; read whole: about 13 GB of memory (estimate)",
            ),
            Source(
                "a .parquet, .csv or .npz of plain columns, any name",
                "about 4 MB",
                "no checksum",
                "nowhere, it is your own; docs/data.md names the columns",
                self.needed_by,
                "means over seeds only",
            ),
        ]

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
        """Return the SHA-256 of a file, or of the names, sizes and SHA-256 of the files in a folder."""
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
            return f"is no NATS-Bench folder: it has no {official.META} of the topology benchmark"
        if path.name.startswith(columns.COMPANION) and path.name.lower().endswith(columns.SUFFIXES):
            return "has values of single seeds only; it is used together with a table of means in the same folder"
        first_line = look(path, lambda path: text.described(path) if path.name.lower().endswith(text.SUFFIXES) else None).kind
        known = "is not a NAS-Bench-201 or NATS-Bench topology file, nor a table of the known columns"
        return known + (f": {first_line}" if first_line else "")


def _write_plain(path: Path, writer: TableWriter) -> dict[str, Any]:
    content, notes = columns.read(path)
    for column, values in content.items():
        writer.add(column, values)
    return {"seeds": _seeds(list(content)), "n": SIZE, "notes": notes}


def _write_official(path: Path, opened: official.Content, writer: TableWriter, progress: Progress) -> dict[str, Any]:
    from benchmarks.nb201.records import RecordColumns

    record_columns = RecordColumns(writer, opened.kind)
    try:
        for done, (index, states) in enumerate(opened.records):
            progress(done, opened.count, "importing architectures")
            record_columns.add(index, states)
    except UserError as error:
        message = str(error)
        raise error if message.endswith(NOTHING) else UserError(f"{path}: {message}. {NOTHING}") from None
    progress(opened.count, opened.count, "importing architectures")
    notes = [] if opened.count == SIZE else [f"records of {opened.count:,} of {SIZE:,} architectures"]
    return {"seeds": _seeds(record_columns.finish()), "n": opened.count, "notes": notes}


def _seeds(names: list[str]) -> dict[str, list[str]]:
    """Return the recorded seeds of each ``DATASET/RECIPE``, read from the names of columns."""
    recorded: dict[str, set[str]] = {}
    for column in names:
        dataset, recipe, seed = column.split("/")[:3]
        recorded.setdefault(f"{dataset}/{recipe}", set()).add(seed)
    return {key: sorted(seeds) for key, seeds in sorted(recorded.items())}


LIBRARY = NB201Library()
