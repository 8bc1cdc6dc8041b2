"""Opens the official NAS-Bench-201 and NATS-Bench topology files: which one it is, and its architectures one by one.

Four forms: ``NAS-Bench-201-*.pth`` as torch saved it before and after 1.6 (a sequence of pickles; a zip archive), the
NATS-Bench folder with one compressed pickle per architecture, and its single compressed pickle. None is trusted: all
pickles go through :mod:`harness.unpickle`, and no torch is needed to take the containers apart.
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

from benchmarks.nb201.space import NB201Space, official_order
from benchmarks.nb201.table import SIZE
from benchmarks.tables.importing import NOTHING, Progress
from harness.cache import explain
from harness.problem import UserError
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
_MEMORY = {"pth": 6, "pbz2": 30}
"""Estimates: memory needed to hold a single-file form, in multiples of the file's size."""


@dataclass
class Content:
    """An opened source: ``records`` yields (official index, {recipe: state of an official ArchResults}) once."""

    kind: str
    count: int
    records: Iterator[tuple[int, Mapping[str, Any]]]


def sniff(path: Path) -> str | None:
    """:data:`NATS` or :data:`NB201` (v1.0 and v1.1 differ only inside) by the first bytes, or None."""
    if path.is_dir():
        head = _head(path / META) if (path / META).is_file() else b"-"
        # An unreadable meta file is taken for the benchmark's own, so that importing it says what is wrong.
        return NATS if not head or b"~0|" in head else None
    head = _head(path)
    if b"~0|" not in head or not any(key.encode() in head for key in _KEYS):
        return None
    with path.open("rb") as file:
        return NATS if file.read(3) == b"BZh" else NB201


def open_source(path: Path, kind: str, progress: Progress, force: bool) -> Content:
    """Opens what :func:`sniff` recognised. Raises :class:`UserError` that ends in "Nothing was imported."

    The folder is read while ``records`` is consumed. A single file is read whole, here; where that seems to need more memory
    than is free it is refused, unless ``force``.
    """
    if path.is_dir():
        return _open_folder(path)
    _check_published(path, progress)
    _check_memory(path, progress, force)
    with damage(path), _Counted(path, progress) as raw, io.BufferedReader(raw, 1 << 20) as file:
        content = _load_pbz2(file) if kind == NATS else _load_torch(file)
    entries = _checked(path, content)
    if kind == NATS:
        return Content(NATS, len(entries), _drain(entries, {"12": "12", "200": "200"}))
    trained = {dataset for entry in entries.values() for dataset in entry["less"]["dataset_seed"]}
    kind = V11 if trained - {"cifar10-valid"} else V10  # v1.0 has the 12-epoch training of cifar10-valid only
    return Content(kind, len(entries), _drain(entries, {"less": "12", "full": "200"}))


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turns what reading ``path`` raises into one line that names the file and what is wrong with it."""
    try:
        yield
    except NotPlain as error:
        raise UserError(f"{path}: {error}. {NOTHING}") from None
    except UserError as error:
        raise UserError(f"{path} is damaged: {error} ({path.stat().st_size:,} bytes present). {NOTHING}") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is damaged: {error} ({path.stat().st_size:,} bytes present). {NOTHING}") from None
    except OSError as error:
        raise explain(error, f"read {path}") from None


def check_order(path: Path, strings: Any) -> None:
    """Raises :class:`UserError` unless ``strings`` are the benchmark's cells in the official order."""
    space = NB201Space()
    if not isinstance(strings, list | tuple) or len(strings) != SIZE:
        found = len(strings) if isinstance(strings, list | tuple) else "no"
        raise UserError(f"{path} lists {found} architectures, not the {SIZE:,} of NAS-Bench-201. {NOTHING}")
    for index, arch in enumerate(official_order()):
        if strings[index] != space.to_str(arch):
            raise UserError(f"{path}: architecture {index} is {strings[index]!r}, not {space.to_str(arch)}. {NOTHING}")


def available_memory() -> int | None:
    """Free memory in bytes, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


class _Counted(io.FileIO):
    """A file that reports how far it was read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path, "rb")
        self._size = os.fstat(self.fileno()).st_size
        self._progress = progress

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._progress(self.tell(), self._size, "reading")
        return count


def _head(path: Path) -> bytes:
    """The beginning of the pickle in ``path``; empty where there is none."""
    try:
        with path.open("rb") as file:
            start = file.read(1 << 20)
            if start.startswith(b"BZh"):
                return bz2.BZ2Decompressor().decompress(start, _HEAD)
            if start.startswith(_LEGACY_HEAD):
                return start[:_HEAD]
            if start.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(file) as archive, archive.open(_data_pickle(archive)) as pickled:
                    return pickled.read(_HEAD)
    except (OSError, zipfile.BadZipFile, UserError):
        pass
    return b""


def _data_pickle(archive: zipfile.ZipFile) -> str:
    for name in archive.namelist():
        if name.endswith("/data.pkl"):
            return name
    raise UserError("this zip archive holds no data.pkl")


def _load_pbz2(file: IO[bytes]) -> Any:
    with bz2.open(file, "rb") as stream:
        content = load_plain(stream)
        _expect_end(stream)  # also makes bz2 compare the last block's checksum
    return content


def _load_torch(file: IO[bytes]) -> Any:
    start = file.read(2)
    file.seek(0)
    if start == b"PK":
        with zipfile.ZipFile(file) as archive, archive.open(_data_pickle(archive)) as stream:
            content = load_plain(stream)
            _expect_end(stream)
        return content
    if load_plain(file) != _LEGACY_MAGIC:
        raise UserError("it does not begin as torch.save begins")
    load_plain(file)  # protocol
    load_plain(file)  # byte order and sizes of the machine, of importance to tensors only
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
    """The architectures' entries of a single-file form, by index."""
    if not isinstance(content, dict) or not all(key in content for key in _KEYS):
        raise UserError(f"{path} is no NAS-Bench-201 file: it lacks {', '.join(_KEYS)}. {NOTHING}")
    check_order(path, content["meta_archs"])
    entries = content["arch2infos"]
    if not isinstance(entries, dict) or not entries or not all(type(i) is int and 0 <= i < SIZE for i in entries):
        raise UserError(f"{path} holds no records of architectures 0 to {SIZE - 1}. {NOTHING}")
    return entries


def _drain(entries: dict[int, Any], recipes: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index in sorted(entries):
        entry = entries.pop(index)  # so that memory shrinks as the table grows
        yield index, {recipe: entry[key] for key, recipe in recipes.items() if key in entry}


def _open_folder(path: Path) -> Content:
    meta = _load_file(path / META)
    if not isinstance(meta, dict) or "meta_archs" not in meta:
        raise UserError(f"{path / META} is no NATS-Bench file: it lacks meta_archs. {NOTHING}")
    check_order(path / META, meta["meta_archs"])
    files = {int(file.name.split(".")[0]): file for file in architecture_files(path)}
    if not files or max(files) >= SIZE:
        raise UserError(f"{path} holds no files 000000.pickle.pbz2 to {SIZE - 1:06d}.pickle.pbz2. {NOTHING}")

    def records() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for index in sorted(files):
            entry = _load_file(files[index])
            if not isinstance(entry, dict):
                raise UserError(f"{files[index]} is no NATS-Bench record but a {type(entry).__name__}. {NOTHING}")
            yield index, {recipe: entry[recipe] for recipe in ("12", "200") if recipe in entry}

    return Content(NATS, len(files), records())


def architecture_files(folder: Path) -> list[Path]:
    """The per-architecture files of the NATS-Bench folder, by name."""
    return sorted(file for file in folder.iterdir() if re.fullmatch(r"\d{1,6}\.pickle\.pbz2", file.name))


def _load_file(path: Path) -> Any:
    with damage(path), path.open("rb") as file:
        return _load_pbz2(file)


def _check_published(path: Path, progress: Progress) -> None:
    digits = PUBLISHED_MD5.get(path.name)
    if digits is None:
        return
    size = path.stat().st_size
    progress(0, size, "comparing with the published MD5")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if not found.endswith(digits):
        raise UserError(
            f"{path} is not the published file: its MD5 ends in {found[-6:]}, not {digits} ({size:,} bytes present); "
            f"get it again. {NOTHING}"
        )


def _check_memory(path: Path, progress: Progress, force: bool) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        need = size * _MEMORY["pbz2" if file.read(3) == b"BZh" else "pth"]
    free = available_memory()
    text = f"{path.name} is read whole, which takes about {need / 1e9:.1f} GB of memory (estimate)"
    if free is not None and need > free and not force:
        raise UserError(
            f"{text}; {free / 1e9:.1f} GB are free. Import the folder {SIMPLE} instead, which is read one architecture "
            f"at a time, or insist with --force. {NOTHING}"
        )
    progress(0, size, text)
