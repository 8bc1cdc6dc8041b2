"""The SQLite file of a store: its schema, the two ways to open it, and its faults as one line."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

from harness.errors import UserError

VERSION = 1
"""Version of the schema, kept in the file's ``user_version``. A changed table needs another version."""

LOCK_S = 30.0
"""Seconds to wait for the transaction of another process."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS specs (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, heartbeat REAL NOT NULL,
    ended REAL NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS plans (
    session INTEGER NOT NULL REFERENCES sessions, spec INTEGER NOT NULL REFERENCES specs,
    runs INTEGER NOT NULL, done INTEGER NOT NULL, workers INTEGER NOT NULL, PRIMARY KEY (session, spec));
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, spec INTEGER NOT NULL REFERENCES specs, session INTEGER NOT NULL REFERENCES sessions,
    world INTEGER NOT NULL, world_seed INTEGER NOT NULL, method_seed INTEGER NOT NULL,
    status TEXT NOT NULL, arch TEXT NOT NULL, scores TEXT NOT NULL, spent TEXT NOT NULL,
    wall_seconds REAL NOT NULL, error TEXT NOT NULL, finished REAL NOT NULL, trace BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_a_row ON runs (spec, world);
CREATE TABLE IF NOT EXISTS claims (
    run_id TEXT PRIMARY KEY, spec INTEGER NOT NULL REFERENCES specs, session INTEGER NOT NULL REFERENCES sessions);
"""


class Database:
    """An open store file.

    Every use first compares the file at the path with the file that was opened. A store that was removed, moved, replaced or
    cut short is an error at the next use, and not a silent loss.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, state: _State | None) -> None:
        """Use :meth:`writable` or :meth:`readable`."""
        self.path, self._db, self._state = path, connection, state

    @classmethod
    def writable(cls, path: Path) -> Database:
        """Open or create the file. Raises :class:`UserError` if it cannot be used."""
        with _explained("open", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))  # SQLite's own mode ignores a umask that admits a group
            connection = sqlite3.connect(path, timeout=LOCK_S, isolation_level=None)
            if not _verified(connection, path):
                _create(connection)
                _verified(connection, path)
            connection.execute("PRAGMA synchronous=NORMAL")
            return cls(path, connection, _State(path, log=True))

    @classmethod
    def readable(cls, path: Path) -> Database:
        """Open the file without write access and without creating a file next to it. A missing file reads as an empty store.

        SQLite's write-ahead log exists as long as a process has the store open for writing, or if such a process was killed.
        With a log, SQLite reads database and log together. Without one, nobody writes and the database alone is complete; it is
        opened as immutable, because SQLite would otherwise create a log. A sweep that starts to write into the database
        during such a read is noticed by the change of the file.
        """
        with _explained("open", path):
            if not path.exists() or not path.stat().st_size:
                return cls(path, _empty(), None)
            log = _log(path)
            quiet = not log.exists() or not log.stat().st_size
            state = _State(path, frozen=quiet)
            address = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}"
            connection = sqlite3.connect(address, uri=True, timeout=LOCK_S, isolation_level=None)
            try:
                if not _verified(connection, path):  # another process is just creating it
                    return cls(path, _empty(), None)
            except sqlite3.OperationalError as error:
                if quiet or "unable to open" not in str(error):
                    raise
                raise UserError(
                    f"cannot read {path}: its log {log.name} needs a shared-memory file and the folder is read-only; "
                    "copy the folder and name the copy"
                ) from error
            return cls(path, connection, state)

    @contextmanager
    def use(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Yield the connection; raise SQLite's and the system's errors as one line."""
        with _explained(doing, self.path):
            self.check()
            yield self._db
            self.check()

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Yield the connection as :meth:`use` does. Write everything in the body, or nothing."""
        with self.use(doing) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def check(self) -> None:
        """Raise :class:`UserError` if the file at the path is no longer the file that was opened."""
        if self._state is not None:
            self._state.check()

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class _State:
    """Identity of the files of an open store.

    Args:
        log: the write-ahead log must stay, too.
        frozen: no process may write to the store.
    """

    def __init__(self, path: Path, *, log: bool = False, frozen: bool = False) -> None:
        self._path, self._frozen = path, frozen
        self._files = {file: _inode(os.stat(file)) for file in ((path, _log(path)) if log else (path,))}
        self._size, self._written = os.stat(path).st_size, os.stat(path).st_mtime_ns

    def check(self) -> None:
        for file, inode in self._files.items():
            try:
                now = os.stat(file)
            except OSError:
                self._lost(file, "removed or moved")
            if _inode(now) != inode:
                self._lost(file, "replaced by another file")
            if file == self._path:
                self._look(now)

    def _look(self, now: os.stat_result) -> None:
        if now.st_size < self._size:
            self._lost(self._path, "cut short")
        if self._frozen and (now.st_size, now.st_mtime_ns) != (self._size, self._written):
            raise UserError(f"a sweep began to write to {self._path} while it was being read; start the command again")
        self._size = now.st_size

    def _lost(self, file: Path, how: str) -> NoReturn:
        raise UserError(
            f"{file} was {how} while this command was using it; what finished since then is not kept. Put the store back, "
            "or start the command again to begin a new one"
        )


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    """Write the schema. Retry, because a switch to WAL does not wait for another process that does the same."""
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            connection.execute("PRAGMA page_size=16384")  # rows are about 2 KB: small pages would stay half empty
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            time.sleep(0.05)


def _verified(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file contains a store; False if it is empty. Raise :class:`UserError` for any other file."""
    tables = _columns(connection)
    if not tables:
        return False
    ((version,),) = connection.execute("PRAGMA user_version")
    if not {"specs", "sessions", "runs"} <= set(tables):
        raise UserError(f"{path} is an SQLite database but not a store of this harness; name another folder with --out")
    if version != VERSION:
        raise UserError(
            f"{path} is a store of schema version {version}, this harness reads version {VERSION}; name another folder with "
            "--out, or use the version of the harness that made it"
        )
    with closing(_empty()) as fresh:
        expected = _columns(fresh)
    for table in {**expected, **tables}:
        differing = set(tables.get(table, [])) ^ set(expected.get(table, []))
        if differing:
            raise UserError(
                f"{path} is not a store of schema version {VERSION}: table {table} differs in {', '.join(sorted(differing))}; "
                "name another folder with --out"
            )
    return True


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    names = [str(name) for (name,) in connection.execute(query)]
    of_table = "SELECT name FROM pragma_table_info(?)"
    return {name: [str(column) for (column,) in connection.execute(of_table, (name,))] for name in names}


@contextmanager
def _explained(doing: str, path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        trouble = any(word in str(error) for word in ("full", "disk I/O"))
        hint = "; finished runs are safe, free some space and start again" if trouble else ""
        raise UserError(f"cannot {doing} {path}: {error}{hint}") from error
    except OSError as error:
        raise UserError(f"cannot {doing} {path}: {error.strerror or error}") from error
