"""Small data sets in IMDb's layouts: the folder aclImdb, its archive, JSON lines."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Review = tuple[str, str, int, int, str]
"""Part, class, number, rating, text."""

GOOD, BAD = ("good", "fine", "moving", "superb"), ("bad", "dull", "awful", "silly")


def made(per_class: int = 12) -> list[Review]:
    """Return reviews with words of their class, and punctuation and stop words between them."""
    rng = np.random.default_rng(per_class)
    reviews = []
    for part in ("train", "test"):
        for kind, words, rating in (("neg", BAD, 2), ("pos", GOOD, 9)):
            for number in range(per_class):
                chosen = [str(rng.choice(words)) for _ in range(3)]
                text = f"The film no. {number}: it's {chosen[0]}, {chosen[1]} -- and {chosen[2]}! Café <br />"
                reviews.append((part, kind, number, rating, text))
    return reviews


def folder(path: Path, reviews: list[Review]) -> Path:
    """Write the folder ``aclImdb`` in ``path``, with further files that a reader must ignore."""
    home = path / "aclImdb"
    for part, kind, number, rating, text in reviews:
        file = home / part / kind / f"{number}_{rating}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (home / "imdb.vocab").write_text("the\nand\n")
    (home / "train" / "unsup").mkdir(parents=True, exist_ok=True)
    (home / "train" / "unsup" / "0_0.txt").write_text("a review without a label")
    (home / "train" / "labeledBow.feat").write_text("9 0:1\n")
    return home


def archive(path: Path, reviews: list[Review]) -> Path:
    """``aclImdb_v1.tar.gz`` in ``path``."""
    home = folder(path / "unpacked", reviews)
    target = path / "aclImdb_v1.tar.gz"
    with tarfile.open(target, "w:gz") as packed:
        packed.add(home, "aclImdb")
    return target


def lines(path: Path, reviews: list[Review], damage: Callable[[list[str]], list[str]] = lambda lines: lines) -> Path:
    """Write JSON lines at ``path``, compressed in the format of its suffix; ``damage`` may damage them."""
    opener: Any = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    written = [
        json.dumps({"split": part, "label": int(kind == "pos"), "id": number, "rating": rating, "text": text})
        for part, kind, number, rating, text in reversed(reviews)
    ]
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(damage(written)) + "\n")
    return path
