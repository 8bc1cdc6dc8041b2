"""Finds and imports NAS-Bench-101's records of the cells that the 1Shot1 spaces reach."""

from __future__ import annotations

from pathlib import Path

from benchmarks.nb1shot1 import clock, columns, official
from benchmarks.nb1shot1.columns import PLAIN
from benchmarks.nb1shot1.official import FULL, NB101, ONLY108
from benchmarks.nb1shot1.table import CELLS
from benchmarks.tables.importing import Library, Opened, Progress, Source, State

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


class NB101Library(Library):
    """The published record files, the one with all epochs before the one with 108, before plain columns."""

    name = "nb1shot1"
    size = CELLS
    described = ("clock",)
    ranks = {NB101: 0, FULL: 0, ONLY108: 1, PLAIN: 2}
    suffixes = (".tfrecord", ".parquet")

    def sources(self) -> list[Source]:
        ids = "nb1shot1/1, nb1shot1/2, nb1shot1/3"
        readme = "README of github.com/google-research/nasbench"
        return [
            Source(
                "nasbench_full.tfrecord",
                "about 1.95 GB",
                f"SHA-256 {official.PUBLISHED_SHA256['nasbench_full.tfrecord']}",
                readme,
                ids,
                "recommended: trainings of 4, 12, 36 and 108 epochs with their times; read in little memory",
            ),
            Source(
                "nasbench_only108.tfrecord",
                "about 499 MB",
                f"SHA-256 {official.PUBLISHED_SHA256['nasbench_only108.tfrecord']}",
                readme,
                ids,
                "trainings of 108 epochs with their times, so no search over fidelities (BOHB)",
            ),
            Source(
                "a .parquet of plain columns, any name",
                "about 2 MB",
                "no checksum",
                "nowhere, it is your own; docs/data.md names the columns",
                ids,
                f"without times: {clock.SAMPLE} must lie beside it, from which they are fitted",
            ),
        ]

    def sniff(self, path: Path) -> str | None:
        kind = official.sniff(path)
        return columns.sniff(path) if kind is None and path.suffix == ".parquet" else kind

    def parts(self, path: Path) -> list[Path]:
        sample = clock.beside(path) if path.suffix == ".parquet" else None
        return [path] if sample is None else [path, sample]

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        if kind == PLAIN:
            progress(0, 1, f"reading {path.name}")
            return Opened(PLAIN, columns.read(path).write)
        found, content = official.read(path, progress)
        return Opened(found, content.write)

    def foreign(self, path: Path) -> str:
        if path.name == clock.SAMPLE:
            return "holds training times only; it is used together with the plain columns that lie beside it"
        return "is no record file of NAS-Bench-101, nor a table of its plain columns"


_library = NB101Library()
NAME = _library.name
sources, recognise, state, find_table = _library.sources, _library.recognise, _library.state, _library.find_table
import_path, verify, unrecognised = _library.import_path, _library.verify, _library.unrecognised
passed_over, matches, is_chosen, line = _library.passed_over, _library.matches, _library.is_chosen, _library.line
