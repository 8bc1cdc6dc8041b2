"""Read Penn Treebank in Mikolov's form: ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``, in a folder or an archive.

A line is a sentence of words with spaces between them. Its end is the token ``<eos>``. Rare words are ``<unk>`` already.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.look import head, is_file, is_folder, opened, reader, reason

PARTS: Final = ("train", "valid", "test")
END: Final = "<eos>"
UNKNOWN: Final = "<unk>"
_MEMBER = re.compile(r"(?:.*/)?ptb\.(train|valid|test)\.txt")
_TEXT: Final = 64 << 20
"""Largest size of a text in bytes; the published training text has 5 million."""
_ARCHIVE: Final = 1 << 30
"""Largest unpacked size of an archive in bytes."""


def recognise(path: Path) -> str | None:
    """Return ``folder``, ``archive``, or None if ``path`` is not Penn Treebank. Read a bounded amount."""
    if is_folder(path):
        return "folder" if is_file(path / "ptb.train.txt") else None
    if not re.search(r"\.(tar\.(xz|gz|bz2)|tgz|tar)$", path.name.lower()):
        return None
    with tarfile.open(fileobj=io.BytesIO(head(path)), mode="r:") as entries:
        first = entries.next()
    name = "" if first is None else first.name.removeprefix("./")
    return "archive" if _MEMBER.fullmatch(name) or name.split("/")[0] == "simple-examples" else None


def read(path: Path) -> dict[str, list[str]]:
    """Return the tokens of the three texts.

    Raises:
        UserError: one line; the source is damaged or lacks a text.
    """
    try:
        contents = _folder(path) if is_folder(path) else _archive(path)
        texts = {part: content.decode("utf-8") for part, content in contents.items()}
    except UserError:
        raise
    except Exception as error:  # of the readers of archives, and of text that cannot be decoded
        raise UserError(f"{path} is damaged ({reason(error)}); get it again") from None
    for part in PARTS:
        if not texts.get(part, "").strip():
            raise UserError(f"{path} has no text ptb.{part}.txt; get the complete data set again")
    return {part: tokens(texts[part]) for part in PARTS}


def tokens(text: str) -> list[str]:
    """Return the words of every line, and :data:`END` after each line."""
    return [word for line in text.removesuffix("\n").split("\n") for word in (*line.split(), END)]


def vocabulary(words: list[str]) -> dict[str, int]:
    """Return the number of every type, in the order of first appearance."""
    return {word: number for number, word in enumerate(dict.fromkeys(words))}


def numbered(words: list[str], numbers: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Return the number of every token. A type that the vocabulary lacks becomes :data:`UNKNOWN`.

    Raises:
        UserError: the vocabulary lacks a type, and has no :data:`UNKNOWN`.
    """
    if strange := next((word for word in words if word not in numbers and UNKNOWN not in numbers), None):
        raise UserError(f"the training text has neither the word {strange[:40]!r} nor {UNKNOWN}")
    rest = numbers.get(UNKNOWN, -1)
    return np.array([numbers.get(word, rest) for word in words], np.int32)


def _folder(path: Path) -> dict[str, bytes]:
    contents = {}
    for part in PARTS:
        if is_file(path / f"ptb.{part}.txt"):
            with opened(path / f"ptb.{part}.txt") as file:
                contents[part] = _bounded(file.read(_TEXT + 1), part)
    return contents


def _archive(path: Path) -> dict[str, bytes]:
    contents = {}
    with reader(path, _ARCHIVE) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            named = _MEMBER.fullmatch(member.name)
            content = archive.extractfile(member) if named and member.isfile() else None
            if named and content:
                contents[named[1]] = _bounded(content.read(_TEXT + 1), named[1])
        while stream.read(1 << 20):  # the end of a compressed stream has its checksum
            pass
    return contents


def _bounded(content: bytes, part: str) -> bytes:
    if len(content) > _TEXT:
        raise UserError(f"ptb.{part}.txt has more than {_TEXT:,} bytes; it is not Penn Treebank")
    return content
