"""Recognise and open the official files of NAS-Bench-201 and of NATS-Bench's topology space.

There are four forms: ``NAS-Bench-201-*.pth`` as torch saved it before and after 1.6 (a sequence of pickles; a zip archive), the
NATS-Bench folder with one compressed pickle per architecture, and its single compressed pickle. None is trusted: all pickles
are read by :mod:`harness.unpickle`. Reading the containers does not need torch.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.nb201.shape import short
from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.table import SIZE
from benchmarks.sources.importing import NOTHING
from harness.cache import explain
from harness.errors import UserError
from harness.library import Progress
from harness.look import bounded, head, is_file, is_folder, opened, peek, reason
from harness.unpickle import NotPlain, load_plain

NATS = "NATS-Bench 1.0"
NB201 = "NAS-Bench-201"
V11 = "NAS-Bench-201 v1.1"
V10 = "NAS-Bench-201 v1.0"

META = "meta.pickle.pbz2"
PUBLISHED_MD5 = {"NAS-Bench-201-v1_0-e61699.pth": "e61699", "NAS-Bench-201-v1_1-096897.pth": "096897"}
"""The last six hex digits of the MD5 of the published files, which their names carry."""
SIMPLE = "NATS-tss-v1_0-3ffb9-simple"

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_HEAD = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_KEYS = ("meta_archs", "arch2infos", "evaluated_indexes")
_HEAD = 1 << 18
_ENTRY = 64 << 20
"""Largest unpacked size of the records of one architecture in bytes; published records have less than one million."""
_RATIO = 64
"""Largest ratio of unpacked to packed size of a single file."""
_MEMORY = {"pth": 6, "pbz2": 30}
"""Estimates: memory that a single-file form needs, in multiples of the file's size."""


@dataclass
class Content:
    """An opened source: ``records`` yields (official index, {recipe: state of an official ArchResults}) once."""

    kind: str
    count: int
    records: Iterator[tuple[int, Mapping[str, Any]]]


def sniff(path: Path) -> str | None:
    """Return :data:`NATS` or :data:`NB201` by the first bytes, or None. The first bytes do not separate v1.0 and v1.1.

    The readers raise various errors on foreign content; :func:`harness.look.look` catches them.
    """
    if is_folder(path):
        if not is_file(path / META):
            return None
        try:
            start = head(path / META)
        except Exception:  # accept an unreadable meta file, so that importing the folder reports its error
            return NATS
        return NATS if not start or b"~0|" in start else None
    with opened(path) as file:
        magic = file.read(16)
    if magic.startswith(b"BZh"):
        start, kind = head(path), NATS
    elif magic.startswith(_LEGACY_HEAD):
        start, kind = head(path), NB201
    elif magic.startswith(b"PK\x03\x04"):
        start, kind = _pickled_head(path), NB201
    else:
        return None
    return kind if b"~0|" in start and any(key.encode() in start for key in _KEYS) else None


def open_source(path: Path, kind: str, progress: Progress, force: bool) -> Content:
    """Open a source that :func:`sniff` recognised.

    A folder is read while ``records`` is consumed. A single file is read into memory here.

    Args:
        force: read a single file even if it seems to need more memory than is free.

    Raises:
        UserError: the source is damaged or refused. The message ends in "Nothing was imported."
    """
    if path.is_dir():
        return _open_folder(path)
    _check_published(path, progress)
    _check_memory(path, progress, force)
    with damage(path), _Counted(path, progress) as raw, io.BufferedReader(raw, 1 << 20) as file:
        most = _RATIO * path.stat().st_size + _ENTRY
        content = _load_pbz2(file, most) if kind == NATS else _load_torch(file, most)
    entries = _checked(path, content)
    if kind == NATS:
        return Content(NATS, len(entries), _drain(entries, {"12": "12", "200": "200"}))
    kind = V11 if _short_trainings(entries) - {"cifar10-valid"} else V10  # v1.0 has 12-epoch trainings of that data set only
    return Content(kind, len(entries), _drain(entries, {"less": "12", "full": "200"}))


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn every error of a read of ``path`` into a :class:`UserError`, one line with the file and the reason."""
    try:
        yield
    except NotPlain as error:
        raise UserError(f"{path}: {error}. {NOTHING}") from None
    except UserError as error:
        raise UserError(f"{path} is damaged: {error} ({path.stat().st_size:,} bytes present). {NOTHING}") from None
    except OSError as error:
        if error.errno is None:
            raise UserError(f"{path} is damaged: {error}. {NOTHING}") from None
        raise explain(error, f"read {path}") from None
    except Exception as error:  # of the readers of archives: encrypted, an unknown method, corrupt, cut short
        raise UserError(f"{path} is damaged: {reason(error)} ({path.stat().st_size:,} bytes present). {NOTHING}") from None


def check_order(path: Path, strings: Any) -> None:
    """Raise :class:`UserError` unless ``strings`` are the benchmark's cells in the official order."""
    space = NB201Space()
    if not isinstance(strings, list | tuple) or len(strings) != SIZE:
        count = len(strings) if isinstance(strings, list | tuple) else "no"
        raise UserError(f"{path} lists {count} architectures, not the {SIZE:,} of NAS-Bench-201. {NOTHING}")
    for index, arch in enumerate(official_order()):
        if strings[index] != space.to_str(arch):
            raise UserError(f"{path}: architecture {index} is {short(strings[index])}, not {space.to_str(arch)}. {NOTHING}")


def available_memory() -> int | None:
    """Return the free memory in bytes, or None if the system does not report it."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


class _Counted(io.FileIO):
    """A file that reports its reading progress."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path, "rb")
        self._size = os.fstat(self.fileno()).st_size
        self._progress = progress

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._progress(self.tell(), self._size, "reading")
        return count


def _pickled_head(path: Path) -> bytes:
    """Return the beginning of the pickle in a zip archive; empty if it has no pickle."""
    with peek(path) as file, zipfile.ZipFile(file) as archive:
        name = _data_pickle(archive)
        if name is None:
            return b""
        with archive.open(name) as pickled:
            return pickled.read(_HEAD)


def _data_pickle(archive: zipfile.ZipFile) -> str | None:
    return next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)


def _load_pbz2(file: IO[bytes], most: int) -> Any:
    with bounded(bz2.open(file, "rb"), most) as stream:
        content = load_plain(stream)
        _expect_end(stream)  # bz2 compares the checksum of the last block when it reads the end
    return content


def _load_torch(file: IO[bytes], most: int) -> Any:
    start = file.read(2)
    file.seek(0)
    if start == b"PK":
        with zipfile.ZipFile(file) as archive:
            name = _data_pickle(archive)
            if name is None:
                raise UserError("this zip archive has no data.pkl")
            with bounded(archive.open(name), most) as stream:
                content = load_plain(stream)
                _expect_end(stream)
        return content
    if load_plain(file) != _LEGACY_MAGIC:
        raise UserError("it does not begin as torch.save begins")
    load_plain(file)  # protocol
    load_plain(file)  # byte order and sizes of the machine, which only tensors need
    content = load_plain(file)
    if load_plain(file):
        raise UserError("it stores tensors")
    _expect_end(file)
    return content


def _expect_end(stream: IO[bytes]) -> None:
    try:
        rest = stream.read(1)
    except EOFError:
        raise UserError("it stops before its end") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"it cannot be decompressed ({error})") from None
    if rest:
        raise UserError("something follows its end")


def _checked(path: Path, content: Any) -> dict[int, Any]:
    """Return the entries of the architectures of a single-file form, by index."""
    if not isinstance(content, dict) or not all(key in content for key in _KEYS):
        raise UserError(f"{path} is no NAS-Bench-201 file: it lacks {', '.join(_KEYS)}. {NOTHING}")
    check_order(path, content["meta_archs"])
    entries = content["arch2infos"]
    if not isinstance(entries, dict) or not entries or not all(type(i) is int and 0 <= i < SIZE for i in entries):
        raise UserError(f"{path} has no records of architectures 0 to {SIZE - 1}. {NOTHING}")
    for index, entry in entries.items():
        if not isinstance(entry, dict):
            raise UserError(f"{path}: the entry of architecture {index} is a {type(entry).__name__}. {NOTHING}")
    return entries


def _short_trainings(entries: Mapping[int, Any]) -> set[str]:
    """Return the data sets of the 12-epoch trainings, as far as the entries have the expected shape."""
    records = (entry.get("less") for entry in entries.values())
    seeds = (record.get("dataset_seed") for record in records if isinstance(record, dict))
    return {dataset for datasets in seeds if isinstance(datasets, dict) for dataset in datasets if isinstance(dataset, str)}


def _drain(entries: dict[int, Any], recipes: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the records of each architecture. Remove its entry first, so that memory shrinks as the table grows."""
    for index in sorted(entries):
        entry = entries.pop(index)
        yield index, {recipe: entry[key] for key, recipe in recipes.items() if key in entry}


def _open_folder(path: Path) -> Content:
    meta = _load_file(path / META)
    if not isinstance(meta, dict) or "meta_archs" not in meta:
        raise UserError(f"{path / META} is no NATS-Bench file: it lacks meta_archs. {NOTHING}")
    check_order(path / META, meta["meta_archs"])
    files: dict[int, Path] = {}
    for file in architecture_files(path):
        index = int(file.name.split(".")[0])
        if index in files:
            raise UserError(f"{path} has architecture {index} twice: {files[index].name} and {file.name}. {NOTHING}")
        files[index] = file
    if not files or max(files) >= SIZE:
        raise UserError(f"{path} has no files 000000.pickle.pbz2 to {SIZE - 1:06d}.pickle.pbz2. {NOTHING}")

    def records() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for index in sorted(files):
            entry = _load_file(files[index])
            if not isinstance(entry, dict):
                raise UserError(f"{files[index]} is no NATS-Bench record but a {type(entry).__name__}. {NOTHING}")
            yield index, {recipe: entry[recipe] for recipe in ("12", "200") if recipe in entry}

    return Content(NATS, len(files), records())


def architecture_files(folder: Path) -> list[Path]:
    """Return the files of the NATS-Bench folder with one architecture each, by name."""
    return sorted(file for file in folder.iterdir() if re.fullmatch(r"\d{1,6}\.pickle\.pbz2", file.name))


def _load_file(path: Path) -> Any:
    with damage(path), opened(path) as file:
        return _load_pbz2(file, _ENTRY)


def _check_published(path: Path, progress: Progress) -> None:
    digits = PUBLISHED_MD5.get(path.name)
    if digits is None:
        return
    size = path.stat().st_size
    progress(0, size, "comparing with the published MD5")
    with opened(path) as file:
        actual = hashlib.file_digest(file, "md5").hexdigest()
    if not actual.endswith(digits):
        raise UserError(
            f"{path} is not the published file: its MD5 ends in {actual[-6:]}, not {digits} ({size:,} bytes present); "
            f"get it again. {NOTHING}"
        )


def _check_memory(path: Path, progress: Progress, force: bool) -> None:
    size = path.stat().st_size
    with opened(path) as file:
        need = size * _MEMORY["pbz2" if file.read(3) == b"BZh" else "pth"]
    free = available_memory()
    text = f"reading {path.name} takes about {need / 1e9:.1f} GB of memory (estimate)"
    if free is not None and need > free and not force:
        raise UserError(
            f"{text}; {free / 1e9:.1f} GB are free. Import the folder {SIMPLE} instead, which is read one architecture "
            f"at a time, or pass --force. {NOTHING}"
        )
    progress(0, size, text)
