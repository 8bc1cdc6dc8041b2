"""A small invented text in the form of Penn Treebank: half of it is ``<unk>``, and every word makes a few next words likely."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.darts_rnn import corpus
from benchmarks.darts_rnn.corpus import Corpus, Ids
from benchmarks.darts_rnn.texts import numbered, tokens, vocabulary

WORDS = 40
LINES = {"train": 400, "valid": 200, "test": 150}


def lines(part: str) -> list[str]:
    """Return the lines of a text; every word is in the training text."""
    rng = random.Random(f"made {part}")
    words = [f"w{number}" for number in range(WORDS - 2)] + ["<unk>"]
    written = [" ".join(words)] if part == "train" else []
    while len(written) < LINES[part]:
        number, line = rng.randrange(len(words)), []
        for _ in range(rng.randint(4, 12)):
            line.append(words[number] if rng.random() < 0.5 else "<unk>")
            number = (2 * number + rng.choice((1, 1, 1, 5))) % len(words)
        written.append(" ".join(line))
    return written


def folder(path: Path) -> Path:
    """Write the three texts into a folder and return it."""
    path.mkdir(parents=True, exist_ok=True)
    for part in LINES:
        (path / f"ptb.{part}.txt").write_text("".join(f" {line} \n" for line in lines(part)))
    return path


@dataclass(frozen=True)
class MadeCorpus(Corpus):
    """The invented texts as a data set, without files."""

    most: int | None = None
    """First tokens of each text; None: all."""

    def part(self, name: str) -> Ids:
        train, words = tokens("\n".join(lines("train"))), tokens("\n".join(lines(name)))
        return numbered(words, vocabulary(train)).astype(np.int64)[: self.most]


CORPUS = MadeCorpus("made", "invented text", WORDS, "0")
SHORT = MadeCorpus("made", "short invented text", WORDS, "1", most=600)


def show(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Make the invented texts the only Penn Treebank of this process and its children."""
    folder(path / "data" / "ptb")
    patch.setenv("NAS_DATA", str(path / "data"))
    patch.setenv("NAS_CACHE", str(path / "cache"))
    forget()


def forget() -> None:
    """Forget the texts that this process has opened."""
    for cached in (corpus.corpus, corpus._table, corpus._renumbering):
        cached.cache_clear()
