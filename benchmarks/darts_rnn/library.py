"""Find Penn Treebank in the data folders and import it, once, as numbers of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.darts_rnn import texts
from benchmarks.sources.importing import NOTHING, Opened
from benchmarks.sources.tables import TableLibrary
from harness.cache import TableWriter, printable
from harness.errors import UserError
from harness.library import Progress, Source
from harness.look import is_file


class PtbLibrary(TableLibrary):
    """Penn Treebank as a folder with the three texts, or as an archive of them. Both give the same tokens."""

    name = "ptb"
    needed_by = "darts_rnn/ptb"
    choosable = False
    ranks = {"folder": 0, "archive": 1}
    quick = frozenset(ranks)
    suffixes = (".tar.xz", ".tar.gz", ".tar.bz2", ".tgz", ".tar")
    mark = "ptb.train.txt"

    def sources(self) -> list[Source]:
        unknown = "no published checksum known"
        return [
            Source(
                "a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt",
                "6 MB",
                unknown,
                "the Linguistic Data Consortium (LDC99T42) licenses the text",
                self.needed_by,
                "929 589 + 73 760 + 82 430 tokens of 10 000 types",
            ),
            Source("simple-examples.tgz", "35 MB", unknown, "Mikolov's RNNLM toolkit", self.needed_by, "read as it is"),
        ]

    def sniff(self, path: Path) -> str | None:
        return texts.recognise(path)

    def parts(self, path: Path) -> list[Path]:
        if is_file(path):
            return [path]
        return [file for file in (path / f"ptb.{part}.txt" for part in texts.PARTS) if is_file(file)]

    def open(self, path: Path, kind: str, progress: Progress, force: bool) -> Opened:
        progress(0, 1, "reading the texts")
        try:
            content = texts.read(path)
            numbers = texts.vocabulary(content["train"])
            columns = {part: texts.numbered(words, numbers) for part, words in content.items()}
        except UserError as error:
            message = str(error)
            raise UserError(f"{'' if message.startswith(str(path)) else f'{printable(path)}: '}{message}. {NOTHING}") from None

        def write(writer: TableWriter) -> dict[str, Any]:
            for part, ids in columns.items():
                writer.add(part, ids)
            writer.add("vocabulary", np.frombuffer("\n".join(numbers).encode(), np.uint8))
            return {"n": sum(map(len, columns.values())), "unit": "tokens"}

        return Opened(kind, write)

    def foreign(self, path: Path) -> str:
        return "is no Penn Treebank (a folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt, or an archive of it)"


LIBRARY = PtbLibrary()
