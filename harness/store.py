"""The store: every finished run is one durable row of ``OUT/runs.sqlite`` with its trace and its provenance.

Several processes may work on one store: a run is claimed before it is started, a claim lives as long as its process, and a
finished run is never written twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.outcome import Result
from harness.plan import RowSpec, RunSpec
from harness.problem import UserError

STALE_S = 60.0
"""A claim whose heartbeat is older than this, or whose process on this host is gone, may be taken over."""

LOCK_S = 30.0
"""How long to wait for another process's transaction."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS specs (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, started REAL NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, spec INTEGER NOT NULL REFERENCES specs, session INTEGER NOT NULL REFERENCES sessions,
    world INTEGER NOT NULL, world_seed INTEGER NOT NULL, method_seed INTEGER NOT NULL,
    status TEXT NOT NULL, arch TEXT NOT NULL, scores TEXT NOT NULL, spent TEXT NOT NULL,
    wall_seconds REAL NOT NULL, error TEXT NOT NULL, finished REAL NOT NULL, trace BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_a_row ON runs (spec, world);
CREATE TABLE IF NOT EXISTS claims (
    run_id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, heartbeat REAL NOT NULL);
"""


class Store:
    """An open store. Raises :class:`UserError` where the folder or the file cannot be used."""

    def __init__(self, folder: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Opens or creates ``folder/runs.sqlite``; with ``provenance``, begins a session that its runs will refer to."""
        self.path = folder / "runs.sqlite"
        self._owner = (socket.gethostname(), os.getpid(), time.time())
        with self._explained("open"):
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=LOCK_S, isolation_level=None)
            self._prepare()
            self._session = 0
            if provenance is not None:
                cursor = self._db.execute(
                    "INSERT INTO sessions (started, provenance) VALUES (?, ?)", (time.time(), json.dumps(provenance))
                )
                self._session = int(cursor.lastrowid or 0)

    def _prepare(self) -> None:
        """Switching to WAL does not wait for another process that is just doing it: that is ours to do."""
        deadline = time.monotonic() + LOCK_S
        while True:
            try:
                self._db.execute("PRAGMA page_size=16384")  # rows are about 2 KB: small pages would stay half empty
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self) -> None:
        """Gives up this process's claims and closes the file."""
        with contextlib.suppress(sqlite3.Error):  # they go stale by themselves
            self._db.execute("DELETE FROM claims WHERE host = ? AND pid = ? AND started = ?", self._owner)
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------------------------------------------

    def claimable(self, runs: Sequence[RunSpec]) -> list[RunSpec]:
        """Those of ``runs`` that are neither finished nor claimed by a living process."""
        ids = [run.run_id for run in runs]
        taken = {one for (one,) in self._select("SELECT run_id FROM runs WHERE run_id IN", ids)}
        for run_id, *owner in self._select("SELECT run_id, host, pid, started, heartbeat FROM claims WHERE run_id IN", ids):
            if self._alive(*owner):
                taken.add(run_id)
        return [run for run in runs if run.run_id not in taken]

    def claim(self, row: RowSpec, runs: Sequence[RunSpec]) -> list[RunSpec]:
        """Makes the claimable ones of ``runs`` this process's, and returns them."""
        with self._transaction("claim runs"):
            spec = (row.identity, _json(row.plain()))
            self._db.execute("INSERT OR IGNORE INTO specs (identity, spec) VALUES (?, ?)", spec)
            free = self.claimable(runs)
            now = time.time()
            self._db.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", [(run.run_id, *self._owner, now) for run in free]
            )
        return free

    def beat(self) -> None:
        """Says that this process still works on its claims."""
        with self._transaction("renew claims"):
            self._db.execute(
                "UPDATE claims SET heartbeat = ? WHERE host = ? AND pid = ? AND started = ?", (time.time(), *self._owner)
            )

    def save(self, row: RowSpec, finished: Sequence[tuple[RunSpec, Result]]) -> None:
        """Writes finished runs in one transaction and gives up their claims. A run that is there already stays as it is."""
        now = time.time()
        with self._explained("read"):
            (spec,) = self._db.execute("SELECT id FROM specs WHERE identity = ?", (row.identity,)).fetchone()
        rows = [
            (
                *(run.run_id, spec, self._session, run.world, run.world_seed, run.method_seed),
                *(result.status, result.arch, _json(result.scores), _json(result.spent)),
                *(result.wall_seconds, result.error, now, pack(result.trace)),
            )
            for run, result in finished
        ]
        with self._transaction("save runs"):
            self._db.executemany(f"INSERT OR IGNORE INTO runs VALUES ({', '.join('?' * 14)})", rows)
            self._db.executemany("DELETE FROM claims WHERE run_id = ?", [(run.run_id,) for run, _ in finished])

    def forget(self, run_ids: Sequence[str]) -> None:
        """Deletes runs, so that they are done again."""
        with self._transaction("delete runs"):
            self._db.executemany("DELETE FROM runs WHERE run_id = ?", [(one,) for one in run_ids])

    # -- reading ----------------------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        """``{run id: status}`` of every finished run."""
        with self._explained("read"):
            return dict(self._db.execute("SELECT run_id, status FROM runs"))

    def specs(self) -> dict[str, dict[str, Any]]:
        """``{identity: row specification}`` of every row that has finished runs, oldest first."""
        query = "SELECT s.identity, s.spec FROM specs s JOIN runs r ON r.spec = s.id GROUP BY s.id ORDER BY MAX(r.finished)"
        with self._explained("read"):
            return {identity: json.loads(spec) for identity, spec in self._db.execute(query)}

    def failed(self) -> list[tuple[dict[str, Any], int, str, str]]:
        """(row specification, world, status, error) of every run that is not ``done``, in order of row and world."""
        query = (
            "SELECT s.spec, r.world, r.status, r.error FROM runs r JOIN specs s ON r.spec = s.id"
            " WHERE r.status != 'done' ORDER BY s.id, r.world"
        )
        with self._explained("read"):
            return [(json.loads(spec), world, status, error) for spec, world, status, error in self._db.execute(query)]

    def rows(self, identity: str, *, trace: bool = True) -> Iterator[dict[str, Any]]:
        """The finished runs of one row, in order of world: columns of the table, JSON decoded, trace unpacked."""
        names = "run_id, world, status, arch, scores, spent, wall_seconds, error, session"
        of_row = "WHERE spec = (SELECT id FROM specs WHERE identity = ?) ORDER BY world"
        query = f"SELECT {names}{', trace' if trace else ''} FROM runs {of_row}"
        with self._explained("read"):
            for values in self._db.execute(query, (identity,)):
                one = dict(zip(names.split(", "), values, strict=False))
                one["scores"], one["spent"] = json.loads(one["scores"]), json.loads(one["spent"])
                if trace:
                    one["trace"] = unpack(values[-1])
                yield one

    def columns(self, identity: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield some columns of the finished runs of one row as they are stored, in order of world."""
        query = f"SELECT {', '.join(names)} FROM runs WHERE spec = (SELECT id FROM specs WHERE identity = ?) ORDER BY world"
        with self._explained("read"):
            yield from self._db.execute(query, (identity,))

    def sessions(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Provenance of the sessions that made some runs, oldest first."""
        with self._explained("read"):
            found = self._select("SELECT id, provenance FROM sessions WHERE id IN", sorted(set(ids)))
            return [{"id": number, **json.loads(text)} for number, text in sorted(found)]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _alive(self, host: str, pid: int, started: float, heartbeat: float) -> bool:
        if (host, pid, started) == self._owner or time.time() - heartbeat > STALE_S:
            return False
        if host != self._owner[0]:
            return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return pid != self._owner[1]

    def _select(self, query: str, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for at in range(0, len(keys), 500):
            some = keys[at : at + 500]
            found += self._db.execute(f"{query} ({', '.join('?' * len(some))})", some).fetchall()
        return found

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._explained(doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            trouble = any(word in str(error) for word in ("full", "disk I/O"))
            hint = "; finished runs are safe, free some space and start again" if trouble else ""
            raise UserError(f"cannot {doing} in {self.path}: {error}{hint}") from error
        except OSError as error:
            raise UserError(f"cannot {doing} {self.path}: {error.strerror or error}") from error


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


PER_QUERY = frozenset(("seconds", "accuracy"))
"""Columns of a trace with a value per query: most of it, written last, so that a reader without use for them unpacks little."""
FIRST = 1024
"""Bytes that such a reader unpacks at first."""
_DTYPES = {"f4": "<f4", "i8": "<i4", "i4": "<i4"}


def pack(trace: Mapping[str, Sequence[float]]) -> bytes:
    """Named columns of numbers as one compressed blob: a JSON header, then float64 values (float32, int32 where given so)."""
    ordered = sorted(trace.items(), key=lambda item: item[0] in PER_QUERY)
    arrays = {name: np.asarray(values) for name, values in ordered}
    if any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("a trace has columns of numbers only")
    columns = {name: array.astype(_DTYPES.get(array.dtype.str[1:], "<f8")) for name, array in arrays.items()}
    header = json.dumps({name: [array.dtype.str, len(array)] for name, array in columns.items()}).encode()
    body = b"".join(array.tobytes() for array in columns.values())
    return zlib.compress(struct.pack("<I", len(header)) + header + body, 1)


def unpack(blob: bytes, *, per_query: bool = True) -> dict[str, npt.NDArray[Any]]:
    """The inverse of :func:`pack`; without the columns of :data:`PER_QUERY` if ``per_query`` is false."""
    stream = zlib.decompressobj()
    data = stream.decompress(blob, 0 if per_query else FIRST)
    (length,) = struct.unpack_from("<I", data)
    if len(data) < 4 + length:
        data += stream.decompress(stream.unconsumed_tail)
    at, columns = 4 + length, {}
    for name, dtype, n in _header(data[4:at]):
        end = at + n * dtype.itemsize
        if per_query or name not in PER_QUERY:
            if len(data) < end:
                data += stream.decompress(stream.unconsumed_tail)
            columns[name] = np.frombuffer(data, dtype, n, at)
        at = end
    return columns


@lru_cache(maxsize=4096)
def _header(text: bytes) -> list[tuple[str, np.dtype[Any], int]]:
    """Runs of one row share few headers: only the numbers of points differ."""
    return [(name, np.dtype(dtype), n) for name, (dtype, n) in json.loads(text).items()]
