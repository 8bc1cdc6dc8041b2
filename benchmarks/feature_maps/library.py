"""Find IMDb's reviews and import them, once, as the token numbers of every tokeniser."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.feature_maps import reviews
from benchmarks.feature_maps.tokens import TOKENISERS, encode
from benchmarks.sources.importing import NOTHING, Opened
from benchmarks.sources.tables import TableLibrary
from harness.cache import TableWriter, sha256
from harness.errors import UserError
from harness.library import Progress, Source
from harness.look import is_file, is_folder

FOLDER, ARCHIVE, LINES = "folder", "archive", "JSON lines"


class ImdbLibrary(TableLibrary):
    """The official folder is preferred to its archive, then JSON lines. All give the same reviews in the same order."""

    name = "imdb"
    needed_by = "feature_maps/imdb"
    ranks = {FOLDER: 0, ARCHIVE: 1, LINES: 2}
    suffixes = (".tar.gz", ".tgz", ".jsonl", ".jsonl.xz", ".jsonl.gz", ".jsonl.bz2")
    mark = "imdb.vocab"

    def sources(self) -> list[Source]:
        home, needed = "ai.stanford.edu/~amaas/data/sentiment", self.needed_by
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
        """Return the SHA-256 of a file, or of the names and SHA-256 of the files in a folder."""
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
            content = reviews.read(path)
        except UserError as error:
            message = str(error)
            prefix = "" if message.startswith(str(path)) else f"{path}: "
            raise UserError(f"{prefix}{message}. {NOTHING}") from None
        return Opened(kind, lambda writer: _write(content, writer, progress))

    def foreign(self, path: Path) -> str:
        return "is no set of IMDb reviews (the folder aclImdb, its archive, or JSON lines)"


def _write(content: list[reviews.Review], writer: TableWriter, progress: Progress) -> dict[str, Any]:
    writer.add("part", np.array([review.part for review in content], np.int8))
    writer.add("label", np.array([review.label for review in content], np.int8))
    for done, tokeniser in enumerate(TOKENISERS):
        progress(1 + done, 1 + len(TOKENISERS), f"tokenising: {tokeniser}")
        ids, ends, vocabulary = encode((review.text for review in content), tokeniser)
        writer.add(f"{tokeniser}/ids", ids)
        writer.add(f"{tokeniser}/ends", ends)
        writer.add(f"{tokeniser}/vocabulary", np.frombuffer("\n".join(vocabulary).encode(), np.uint8))
    progress(1 + len(TOKENISERS), 1 + len(TOKENISERS), "tokenising")
    return {"n": len(content), "unit": "reviews"}


LIBRARY = ImdbLibrary()
