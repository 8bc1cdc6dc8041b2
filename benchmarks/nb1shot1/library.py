"""Find and import NAS-Bench-101's records of the cells in the 1Shot1 spaces."""

from __future__ import annotations

from pathlib import Path

from benchmarks.nb1shot1 import clock, columns, official
from benchmarks.nb1shot1.columns import PLAIN
from benchmarks.nb1shot1.official import FULL, NB101, ONLY108
from benchmarks.nb1shot1.table import CELLS
from benchmarks.sources.importing import Opened
from benchmarks.sources.tables import TableLibrary
from harness.library import Progress, Source


class NB101Library(TableLibrary):
    """Record files and plain columns. The file with all epochs is preferred to that with 108, then plain columns."""

    name = "nb1shot1"
    needed_by = "nb1shot1/1, nb1shot1/2, nb1shot1/3"
    size = CELLS
    described = ("clock",)
    ranks = {NB101: 0, FULL: 0, ONLY108: 1, PLAIN: 2}
    suffixes = (".tfrecord", ".parquet")

    def sources(self) -> list[Source]:
        readme = "README of github.com/google-research/nasbench"
        return [
            Source(
                "nasbench_full.tfrecord",
                "about 1.95 GB",
                f"SHA-256 {official.PUBLISHED_SHA256['nasbench_full.tfrecord']}",
                readme,
                self.needed_by,
                "recommended: trainings of 4, 12, 36 and 108 epochs with their times; read in little memory",
            ),
            Source(
                "nasbench_only108.tfrecord",
                "about 499 MB",
                f"SHA-256 {official.PUBLISHED_SHA256['nasbench_only108.tfrecord']}",
                readme,
                self.needed_by,
                "trainings of 108 epochs with their times, so no search over fidelities (BOHB)",
            ),
            Source(
                "a .parquet of plain columns, any name",
                "about 2 MB",
                "no checksum",
                "nowhere, it is your own; docs/data.md names the columns",
                self.needed_by,
                f"without times: they are fitted on {clock.SAMPLE}, which must be in the same folder",
            ),
        ]

    def sniff(self, path: Path) -> str | None:
        kind = official.sniff(path)
        return columns.sniff(path) if kind is None and path.suffix == ".parquet" else kind

    def parts(self, path: Path) -> list[Path]:
        sample = clock.sample_of(path) if path.suffix == ".parquet" else None
        return [path] if sample is None else [path, sample]

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        if kind == PLAIN:
            progress(0, 1, f"reading {path.name}")
            return Opened(PLAIN, columns.read(path).write)
        published, content = official.read(path, progress)
        return Opened(published, content.write)

    def foreign(self, path: Path) -> str:
        if path.name == clock.SAMPLE:
            return "has training times only; it is used together with plain columns in the same folder"
        return "is no record file of NAS-Bench-101, nor a table of its plain columns"


LIBRARY = NB101Library()
