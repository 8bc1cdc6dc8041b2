"""Data and cache folders, checksums, atomic writes, and the compact table that every oracle reads.

A table is a folder: ``meta.json`` and one ``.npy`` file per column, memory-mapped when read. It is written next to its final
place and renamed, so it is complete or absent. The SHA-256 of a column is compared when the column is first read. A killed
process may leave an unfinished folder; the next process that writes a table in the same place removes it. Files get the
permissions that the umask allows.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import mmap
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UserError
from harness.look import is_folder, opened

FORMAT = 1

_DEPTH = 2
_ENTRIES = 2000
"""Entries read of each folder. A folder with more entries is an image collection, not a place for benchmark files."""


def data_roots() -> list[Path]:
    """Return the folders of ``$NAS_DATA``, which contain official files as published. Several are separated as in ``PATH``."""
    return [Path(part).expanduser() for part in os.environ.get("NAS_DATA", "").split(os.pathsep) if part]


def walk(is_source: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """Yield the data folders and their content, two levels deep, a folder before its content.

    Args:
        is_source: returns whether a folder is a single source; its content is not listed.
    """
    for root in dict.fromkeys(data_roots()):
        if is_folder(root):
            yield from _below(Path(os.path.abspath(root)), _DEPTH, is_source)


def _below(folder: Path, depth: int, is_source: Callable[[Path], bool]) -> Iterator[Path]:
    yield folder
    if is_source(folder):
        return
    try:
        with os.scandir(folder) as listed:
            names = sorted(entry.name for entry in itertools.islice(listed, _ENTRIES))
    except OSError:
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        if not is_folder(path):
            yield path
        elif depth:
            yield from _below(path, depth - 1, is_source)


def cache_root() -> Path:
    """Return the folder of imported tables: ``$NAS_CACHE``, or ``~/.cache/nas-harness``."""
    return Path(os.environ.get("NAS_CACHE") or Path.home() / ".cache" / "nas-harness").expanduser()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file's bytes, in hex."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explain(error: OSError, doing: str) -> UserError:
    """Return an error of the operating system (full disk, no permission) as one line for people."""
    where = f" {error.filename}" if error.filename else ""
    return UserError(f"cannot {doing}:{where} {error.strerror or error}".replace(":  ", ": "))


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as text for any terminal or file: bytes that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``. On success it replaces ``path``; on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(path)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _hidden(path: Path) -> Path:
    """Return a new name next to ``path``."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of unfinished files and folders, of this version and of earlier ones."""


_ABANDONED = 24 * 3600
"""Seconds after which an unfinished folder counts as abandoned, on file systems that cannot lock a folder."""


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Share the lock on ``folder`` with all processes that write tables there. The only writer removes unfinished folders."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_unfinished(folder, time.time())
        except BlockingIOError:
            pass  # another process writes here
        except OSError:
            _remove_unfinished(folder, time.time() - _ABANDONED)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _remove_unfinished(folder: Path, before: float) -> None:
    for entry in os.scandir(folder):
        if _UNFINISHED.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime <= before:
                    shutil.rmtree(entry.path, ignore_errors=True)


class Table:
    """A compact table, opened read-only."""

    def __init__(self, path: Path) -> None:
        """Read ``meta.json`` only. Raises :class:`UserError` if ``path`` is not a readable table."""
        self.path = path
        file = path / "meta.json"
        try:
            self.meta: dict[str, Any] = json.loads(file.read_text())
            self._sums: dict[str, str] = self.meta["columns"]
            number = self.meta["format"]
            texts = [text for item in self._sums.items() for text in item]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError(file)
        except FileNotFoundError:
            raise UserError(f"{path} is not a table (no meta.json)") from None
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{file} is damaged; delete {path} and import again") from None
        if number != FORMAT:
            raise UserError(f"{path} has table format {str(number)[:20]}, not {FORMAT}; delete it and import again")
        self._open: dict[str, npt.NDArray[Any]] = {}

    @property
    def columns(self) -> list[str]:
        """Return the column names, sorted."""
        return sorted(self._sums)

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the names and checksums of all columns, which identifies the content."""
        return _content_checksum(self._sums)

    def __contains__(self, name: str) -> bool:
        return name in self._sums

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column as a memory-mapped, read-only array.

        Raises:
            KeyError: the table has no such column.
            UserError: the bytes differ from those imported.
        """
        if name not in self._open:
            expected = self._sums[name]
            try:
                self._open[name] = _mapped(_file(self.path, name), expected)
            except (OSError, ValueError):
                raise self._damaged(name) from None
        return self._open[name]

    def verify(self) -> None:
        """Compare the checksum of every column. Raises :class:`UserError` with the name of the first damaged column."""
        for name in self.columns:
            try:
                _mapped(_file(self.path, name), self._sums[name])
            except (OSError, ValueError):
                raise self._damaged(name) from None

    def _damaged(self, name: str) -> UserError:
        return UserError(
            f"the table {self.path} is damaged: column {name} is not what was imported; delete that folder and import again"
        )


_DESCRIBED: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "n": int,
    "source": dict,
    "imported_at": str,
    "import_seconds": (int, float),
}
"""Entries of ``meta.json`` that every imported table has, and their types."""


def imported(folder: Path, more: Sequence[str] = ()) -> Table:
    """Open an imported table.

    Args:
        more: further entries that the description must have.

    Raises:
        UserError: ``folder`` is not a table, or its description is damaged.
    """
    table = Table(folder)
    described = {**_DESCRIBED, **dict.fromkeys(more, object)}
    wrong = [name for name, kind in described.items() if name not in table.meta or not isinstance(table.meta[name], kind)]
    if wrong:
        raise UserError(f"{folder / 'meta.json'} is damaged: {wrong[0]} is missing or wrong; delete {folder} and import again")
    return table


class TableWriter:
    """Writer of a table next to its final place. :meth:`commit` renames the table; without a commit it is removed.

    Use as a context manager::

        with TableWriter(path) as writer:
            writer.add("params", values)
            writer.commit({"source": "..."})
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = _hidden(path)
        self._names: set[str] = set()
        self._resources = contextlib.ExitStack()
        self._resources.enter_context(_writing(path.parent))
        try:
            self._folder.mkdir()
        except OSError:
            self._resources.close()
            raise

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._resources.close()

    def add(self, name: str, values: npt.ArrayLike) -> None:
        """Write one column."""
        file = self._new(name)
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)

    def create(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.memmap[Any, Any]:
        """Return a new column on disk, to be filled piece by piece."""
        return np.lib.format.open_memmap(self._new(name), mode="w+", dtype=np.dtype(dtype), shape=shape)

    def commit(self, meta: Mapping[str, Any]) -> Table:
        """Compute the checksums, write ``meta.json``, and rename the folder into place. An older table is replaced."""
        sums = {name: sha256(_file(self._folder, name)) for name in sorted(self._names)}
        text = json.dumps({"format": FORMAT, **meta, "columns": sums}, indent=1)
        (self._folder / "meta.json").write_text(text)
        if self.path.exists():
            old = _hidden(self.path)
            os.rename(self.path, old)
            os.rename(self._folder, self.path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(self._folder, self.path)
        return Table(self.path)

    def _new(self, name: str) -> Path:
        self._names.add(name)
        file = _file(self._folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


def _mapped(file: Path, checksum: str) -> npt.NDArray[Any]:
    """Return a ``.npy`` file, mapped once for its checksum and its values; ``np.load`` would open it a second time.

    Raises ValueError if the bytes do not match the checksum.
    """
    with file.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if hashlib.sha256(mapped).hexdigest() != checksum:
            raise ValueError(file)
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        return np.frombuffer(mapped, dtype, offset=stream.tell()).reshape(shape)


def _file(folder: Path, column: str) -> Path:
    return folder / f"{column}.npy"


def _content_checksum(sums: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{name} {sums[name]}" for name in sorted(sums)).encode()).hexdigest()
