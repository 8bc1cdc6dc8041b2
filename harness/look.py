"""Examine untrusted files without blocking or failing, and read a bounded amount of each.

A data folder may contain anything: pipes, dangling links, archives that unpack to a thousand times their size. These functions
open regular files only, count every byte that they read or unpack, and turn every error into one clause.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

GLANCE = 1 << 20
"""Bytes to read, and bytes to unpack, when recognising a file."""
AT_ONCE = 256 << 20
"""Largest single read. No reader of the project needs more; a garbled length requests more."""

_PEEK = 16 << 20
"""Bytes that a library may read to list the contents of an archive or a table."""
_KINDS = {
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}


class Look(NamedTuple):
    """The result of a look at a path."""

    kind: str | None
    """Kind of the path, or None if it is not recognised."""
    why: str
    """Why the path could not be examined, as a clause such as ``is a named pipe``; empty if it could."""


def look(path: Path, sniff: Callable[[Path], str | None]) -> Look:
    """Return the kind that ``sniff`` returns for ``path``. An exception of ``sniff`` becomes the reason ``why``."""
    why = odd(path)
    if why:
        return Look(None, why)
    try:
        return Look(sniff(path), "")
    except Exception as error:  # the readers of a dozen formats raise almost any exception on foreign content
        return Look(None, reason(error))


def odd(path: Path) -> str:
    """Return why ``path`` is neither a regular file nor a folder, as a clause; empty if it is one of them."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to nothing" if path.is_symlink() else "does not exist"
    except OSError as error:
        return "is a loop of links" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror or error}"
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return _KINDS.get(stat.S_IFMT(mode), "is no regular file")


def is_file(path: Path) -> bool:
    """Return whether ``path`` is a regular file, or a link to one. Never raises."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder, or a link to one. Never raises."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def opened(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. Raise OSError for anything else, without waiting for the other end of a pipe."""
    why = odd(path)
    if why:
        raise OSError(errno.EINVAL if path.exists() else errno.ENOENT, why, os.fspath(path))
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # it was replaced in the meantime
        os.close(handle)
        raise OSError(errno.EINVAL, "is no regular file", os.fspath(path))
    return io.BufferedReader(io.FileIO(handle))


def head(path: Path, most: int = GLANCE) -> bytes:
    """Return at most ``most`` bytes of the start of a file, unpacked if it is a gzip, bzip2 or xz stream."""
    with opened(path) as file:
        start = file.read(most)
    if start.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(start, most)
    if start.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(start, most)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(memlimit=128 << 20).decompress(start, most)
    return start


def peek(path: Path) -> Bounded:
    """Open a file for a library that lists its contents. Reading more than 16 MiB raises OSError."""
    return Bounded(opened(path), _PEEK)


def reader(path: Path, most: int) -> io.BufferedReader:
    """Open a file to read in order, unpacked if it is a gzip, bzip2 or xz stream: at most ``most`` unpacked bytes."""
    file = opened(path)
    start = file.read(6)
    file.seek(0)
    return bounded(_unpacking(file, start), most, (file,))


def bounded(file: IO[bytes], most: int, also_close: tuple[IO[bytes], ...] = ()) -> io.BufferedReader:
    """Return a buffered file that gives ``most`` bytes and then raises OSError. Closing it closes all files."""
    return io.BufferedReader(Bounded(file, most, also_close), GLANCE)


def _unpacking(file: IO[bytes], start: bytes) -> IO[bytes]:
    """Return the unpacked stream of a file that begins with the bytes ``start``, or the file itself if it is not packed."""
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    return file


class Bounded(io.RawIOBase):
    """A file that gives ``most`` bytes and then raises OSError. Closing it closes ``file`` and ``also_close``."""

    def __init__(self, file: IO[bytes], most: int, also_close: tuple[IO[bytes], ...] = ()) -> None:
        self._file, self._most, self._left, self._also_close = file, most, most, also_close

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes; -1 means all."""
        requested = -1 if size is None else size
        if requested > AT_ONCE:
            raise OSError(f"it requests {requested:,} bytes at once")
        data = self._file.read(self._left + 1 if requested < 0 else min(requested, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"it has more than {self._most:,} bytes")
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether the file can be read out of order."""
        return self._file.seekable()

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            for file in (self._file, *self._also_close):
                file.close()
        super().close()


def reason(error: BaseException) -> str:
    """Return the message of an exception as one short clause."""
    if isinstance(error, MemoryError):
        return "needs more memory than is available, or its lengths are garbled"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join(lines)[:200] or type(error).__name__
