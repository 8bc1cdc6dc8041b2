"""Read IMDb's movie reviews from the official folder, the official archive, or JSON lines.

Every source gives the reviews in the same order: by part (train, test), class (negative, positive) and number.
"""

from __future__ import annotations

import errno
import itertools
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from harness.errors import UserError
from harness.look import head, is_file, is_folder, look, opened, reader, reason

PARTS: Final = ("train", "test")
CLASSES: Final = ("neg", "pos")
_MEMBER = re.compile(r"(?:.*/)?(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")
_TEXT: Final = 1 << 20
"""Largest size of a review, or of a line with a review, in bytes; the longest published review has about 14 000."""
_ARCHIVE: Final = 4 << 30
"""Largest unpacked size of the data set in bytes."""
_DIGITS: Final = 9


class Review(NamedTuple):
    """A review; sorts into the common order of all sources."""

    part: int
    """Position in :data:`PARTS`."""
    label: int
    """Position in :data:`CLASSES`."""
    number: int
    text: str


def recognise(path: Path) -> str | None:
    """Return the form of IMDb that ``path`` is, or None: of a file by its name, and by the first line of JSON lines.

    Read a bounded amount. Any exception is possible.
    """
    if is_folder(path):
        return "folder" if is_folder(path / "train" / "pos") or is_folder(path / "test" / "neg") else None
    name = path.name.lower()
    if re.fullmatch(r"aclimdb.*\.(tar\.gz|tgz|tar)", name):
        return "archive" if is_file(path) else None
    if re.search(r"\.jsonl(\.xz|\.gz|\.bz2)?$", name):
        try:
            first = json.loads(head(path).split(b"\n", 1)[0])
        except Exception:  # accept a damaged file, so that importing it reports its error
            if "imdb" in name and is_file(path):
                return "JSON lines"
            raise
        return "JSON lines" if isinstance(first, dict) and {"split", "label", "text"} <= set(first) else None
    return None


def read(path: Path) -> list[Review]:
    """Return every labelled review of ``path``, in order.

    Raises:
        UserError: one line; the source is damaged or lacks reviews.
    """
    readers = {"folder": _folder, "archive": _archive, "JSON lines": _json_lines}
    form = look(path, recognise).kind
    if form is None:
        raise UserError(f"{path} is not IMDb: neither the folder aclImdb, nor its archive, nor JSON lines; nothing imported")
    try:
        reviews = sorted(readers[form](path))
    except UserError:
        raise
    except OSError as error:
        if error.errno is not None and error.errno != errno.EINVAL:
            raise
        raise UserError(f"{error.filename or path} is damaged ({reason(error)}); get it again") from None
    except Exception as error:  # of the readers of archives, and of text that cannot be decoded
        raise UserError(f"{path} is damaged ({reason(error)}); get it again") from None
    for part, name in enumerate(PARTS):
        for label, kind in enumerate(CLASSES):
            numbers = [review.number for review in reviews if (review.part, review.label) == (part, label)]
            if not numbers:
                raise UserError(f"{path} has no reviews of {name}/{kind}; get the complete data set again")
            if len(set(numbers)) < len(numbers):
                raise UserError(f"{path} has two reviews of {name}/{kind} with the same number; get it again")
    for review in reviews:
        if not review.text.strip():
            name = f"{PARTS[review.part]}/{CLASSES[review.label]}/{review.number}"
            raise UserError(f"{path}: review {name} is empty; get it again")
    return reviews


def _folder(path: Path) -> Iterator[Review]:
    for part, name in enumerate(PARTS):
        for label, kind in enumerate(CLASSES):
            for file in (path / name / kind).glob("*.txt"):
                if member := _MEMBER.fullmatch(file.as_posix()):
                    with opened(file) as content:
                        yield _review(part, label, member[3], content.read(_TEXT + 1), file.name)


def _archive(path: Path) -> Iterator[Review]:
    with reader(path, _ARCHIVE) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            named = _MEMBER.fullmatch(member.name)
            content = archive.extractfile(member) if named and member.isfile() else None
            if named and content:
                part, label = PARTS.index(named[1]), CLASSES.index(named[2])
                yield _review(part, label, named[3], content.read(_TEXT + 1), member.name)
        # the archive may end before the compressed stream does; reading to its end compares the checksum
        while stream.read(1 << 20):
            pass


def _review(part: int, label: int, number: str, content: bytes, name: str) -> Review:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"review {name} is no UTF-8 text ({error.reason}); get it again") from None
    if len(content) > _TEXT or len(number) > _DIGITS:
        raise UserError(f"review {name} has more than {_TEXT:,} bytes, or a number that is too long; get it again")
    return Review(part, label, int(number), text)


def _json_lines(path: Path) -> Iterator[Review]:
    with reader(path, _ARCHIVE) as file:
        for count in itertools.count(1):
            line = file.readline(_TEXT)
            if not line:
                return
            try:
                yield _parsed(json.loads(line.decode("utf-8")), count)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                raise UserError(
                    f"{path}, line {count} is no review: a JSON object with split (train, test), label (0, 1) and text"
                ) from None


def _parsed(value: Any, count: int) -> Review:
    part, label, number, text = value["split"], value["label"], value.get("id", count), value["text"]
    if not (isinstance(part, str) and isinstance(text, str) and label in (0, 1)):
        raise ValueError
    if len(str(number)) > _DIGITS:
        raise ValueError
    text.encode("utf-8")  # raises ValueError for half a surrogate pair, which JSON can express
    return Review(PARTS.index(part), int(label), int(number), text)
