"""A small invented text in the form of Penn Treebank: every word makes a few next words likely."""

from __future__ import annotations

import random
from pathlib import Path

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
            line.append(words[number] if rng.random() < 0.9 else "<unk>")
            number = (2 * number + rng.choice((1, 1, 1, 5))) % len(words)
        written.append(" ".join(line))
    return written


def folder(path: Path) -> Path:
    """Write the three texts into a folder and return it."""
    path.mkdir(parents=True, exist_ok=True)
    for part in LINES:
        (path / f"ptb.{part}.txt").write_text("".join(f" {line} \n" for line in lines(part)))
    return path
