"""Finds IMDb's reviews and imports them, once, as the numbers of their tokens under every tokeniser."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.feature_maps import reviews
from benchmarks.feature_maps.tokens import TOKENISERS, encode
from benchmarks.tables.importing import NOTHING, Library, Opened, Progress, Source, State
from harness.cache import TableWriter, sha256
from harness.errors import UserError
from harness.look import is_file, is_folder

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

FOLDER, ARCHIVE, LINES = "folder", "archive", "JSON lines"


class ImdbLibrary(Library):
    """The official folder before its archive before JSON lines; all have the same reviews in the same order."""

    name = "imdb"
    ranks = {FOLDER: 0, ARCHIVE: 1, LINES: 2}
    suffixes = (".tar.gz", ".tgz", ".jsonl", ".jsonl.xz", ".jsonl.gz", ".jsonl.bz2")
    mark = "imdb.vocab"

    def sources(self) -> list[Source]:
        home, needed = "ai.stanford.edu/~amaas/data/sentiment", "feature_maps/imdb"
        return [
            Source("aclImdb", "220 MB", "no published checksum known", home, needed, "the folder that the archive unpacks to"),
            Source("aclImdb_v1.tar.gz", "80 MB", "no published checksum known", home, needed, "read as it is"),
            Source(
                "an imdb .jsonl, or .jsonl.xz, .gz, .bz2",
                "28 MB",
                "no published checksum known",
                "nowhere; a JSON object per line: split, label, id, text",
                needed,
                "the same reviews, line by line",
            ),
        ]

    def sniff(self, path: Path) -> str | None:
        return reviews.recognise(path)

    def parts(self, path: Path) -> list[Path]:
        if is_file(path):
            return [path]
        folders = [path / part / kind for part in reviews.PARTS for kind in reviews.CLASSES]
        return [path, *(folder for folder in folders if is_folder(folder))]

    def checksum(self, path: Path, progress: Progress) -> str:
        """Of a folder: SHA-256 of its files' names and SHA-256."""
        if is_file(path):
            return super().checksum(path, progress)
        progress(0, 1, "checksum of the files")
        total = hashlib.sha256()
        for folder in self.parts(path)[1:]:
            for file in sorted(folder.glob("*.txt")):
                total.update(f"{file.parent.name}/{file.name} {sha256(file)}\n".encode())
        return total.hexdigest()

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        progress(0, 1 + len(TOKENISERS), "reading reviews")
        try:
            found = reviews.read(path)
        except UserError as error:
            said = str(error)
            where = "" if said.startswith(str(path)) else f"{path}: "
            raise UserError(f"{where}{said}. {NOTHING}") from None
        return Opened(kind, lambda writer: _write(found, writer, progress))

    def foreign(self, path: Path) -> str:
        return "is no set of IMDb reviews (the folder aclImdb, its archive, or JSON lines)"


def _write(found: list[reviews.Review], writer: TableWriter, progress: Progress) -> dict[str, Any]:
    writer.add("part", np.array([one.part for one in found], np.int8))
    writer.add("label", np.array([one.label for one in found], np.int8))
    for done, tokeniser in enumerate(TOKENISERS):
        progress(1 + done, 1 + len(TOKENISERS), f"tokenising: {tokeniser}")
        ids, ends, vocabulary = encode((one.text for one in found), tokeniser)
        writer.add(f"{tokeniser}/ids", ids)
        writer.add(f"{tokeniser}/ends", ends)
        writer.add(f"{tokeniser}/vocabulary", np.frombuffer("\n".join(vocabulary).encode(), np.uint8))
    progress(1 + len(TOKENISERS), 1 + len(TOKENISERS), "tokenising")
    return {"n": len(found), "unit": "reviews"}


LIBRARY = ImdbLibrary()
NAME = LIBRARY.name
sources = LIBRARY.sources
recognise = LIBRARY.recognise
state = LIBRARY.state
find_table = LIBRARY.find_table
import_path = LIBRARY.import_path
verify = LIBRARY.verify
unrecognised = LIBRARY.unrecognised
passed_over = LIBRARY.passed_over
matches = LIBRARY.matches
is_chosen = LIBRARY.is_chosen
line = LIBRARY.line
