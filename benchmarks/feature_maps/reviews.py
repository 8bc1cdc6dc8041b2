"""Reads IMDb's movie reviews: the official folder, the official archive, or JSON lines. One clear line for what is wrong.

Whatever the source, reviews come in one order: by part (train, test), class (negative, positive) and number.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from harness.problem import UserError

PARTS: Final = ("train", "test")
CLASSES: Final = ("neg", "pos")
_MEMBER = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")
_OPENERS: Final[dict[str, Callable[..., IO[Any]]]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


class Review(NamedTuple):
    """One review; sorts into the order that all sources share."""

    part: int
    """Position in :data:`PARTS`."""
    label: int
    """Position in :data:`CLASSES`."""
    number: int
    text: str


def recognise(path: Path) -> str | None:
    """Which form of IMDb ``path`` is, or None. Of files, the name decides and the first line of JSON lines."""
    if path.is_dir():
        return "folder" if (path / "train" / "pos").is_dir() or (path / "test" / "neg").is_dir() else None
    name = path.name.lower()
    if re.fullmatch(r"aclimdb.*\.(tar\.gz|tgz|tar)", name):
        return "archive"
    if re.search(r"\.jsonl(\.xz|\.gz|\.bz2)?$", name):
        try:
            with _lines(path) as file:
                first = json.loads(file.readline())
        except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
            return "JSON lines" if "imdb" in name else None
        return "JSON lines" if isinstance(first, dict) and {"split", "label", "text"} <= set(first) else None
    return None


def read(path: Path) -> list[Review]:
    """Every labelled review of ``path``, in order. Raises :class:`UserError`, one line, for what is damaged or missing."""
    readers = {"folder": _folder, "archive": _archive, "JSON lines": _json_lines}
    form = recognise(path)
    if form is None:
        raise UserError(f"{path} is not IMDb: neither the folder aclImdb, nor its archive, nor JSON lines; nothing imported")
    try:
        found = sorted(readers[form](path))
    except (EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); get it again") from None
    for part, name in enumerate(PARTS):
        for label, kind in enumerate(CLASSES):
            numbers = [one.number for one in found if (one.part, one.label) == (part, label)]
            if not numbers:
                raise UserError(f"{path} has no reviews of {name}/{kind}; get the whole data set again")
            if len(set(numbers)) < len(numbers):
                raise UserError(f"{path} has two reviews of {name}/{kind} with the same number; get it again")
    for one in found:
        if not one.text.strip():
            raise UserError(f"{path}: review {PARTS[one.part]}/{CLASSES[one.label]}/{one.number} is empty; get it again")
    return found


def _folder(path: Path) -> Iterator[Review]:
    for part, name in enumerate(PARTS):
        for label, kind in enumerate(CLASSES):
            for file in (path / name / kind).glob("*.txt"):
                if member := _MEMBER.fullmatch(file.as_posix()):
                    yield Review(part, label, int(member[3]), file.read_text(encoding="utf-8"))


def _archive(path: Path) -> Iterator[Review]:
    with tarfile.open(path) as archive:
        for member in archive:
            named = _MEMBER.fullmatch(member.name)
            content = archive.extractfile(member) if named else None
            if named and content:
                yield Review(PARTS.index(named[1]), CLASSES.index(named[2]), int(named[3]), content.read().decode("utf-8"))
        # an archive's end, or a header that is none, comes before the checksum of the compressed stream
        while archive.fileobj is not None and archive.fileobj.read(1 << 20):
            pass


def _json_lines(path: Path) -> Iterator[Review]:
    with _lines(path) as file:
        for count, line in enumerate(file, start=1):
            try:
                one = json.loads(line)
                if not (one["split"] in PARTS and one["label"] in (0, 1) and isinstance(one["text"], str)):
                    raise ValueError
                yield Review(PARTS.index(one["split"]), int(one["label"]), int(one.get("id", count)), one["text"])
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{path}, line {count} is no review: a JSON object with split (train, test), label (0, 1) and text"
                ) from None


def _lines(path: Path) -> IO[str]:
    opened: IO[str] = _OPENERS.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8")
    return opened
