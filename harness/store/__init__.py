"""The store: every finished run is one durable row of ``OUT/runs.sqlite`` with its trace and its provenance.

Several processes may work on one store: a run is claimed before it is started, a claim lives as long as its process, and a
finished run is never written twice. ``python -m harness.store`` merges and exports stores.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from harness.database import Database
from harness.errors import UserError
from harness.outcome import Result
from harness.packing import pack, unpack
from harness.plan import PlannedRow
from harness.spec import RowSpec, RunSpec

STALE_S = 60.0
"""A claim may be taken over if its process on this host is gone, or if its heartbeat did not change for this long."""


def store_file(folder: Path) -> Path:
    """Return the path of the store of an output folder."""
    return folder / "runs.sqlite"


@dataclass(frozen=True)
class Session:
    """One command that worked on the store."""

    id: int
    host: str
    pid: int
    started: float
    """Unix time."""
    heartbeat: float
    """Unix time, by the clock of its host."""
    ended: float
    """Unix time; 0 as long as it works, and forever if it was killed."""
    command: str = ""

    def gone(self) -> bool:
        """Return whether the process is known to have ended: it ran on this host and no longer exists."""
        return self.host == socket.gethostname() and not _exists(self.pid)


@dataclass(frozen=True)
class Announced:
    """Plan of a session for one row."""

    session: Session
    spec: dict[str, Any]
    number: int
    """Number of the row specification in this file."""
    runs: int
    done: int
    """Of these, done when the session began."""
    workers: int


class Store:
    """An open store. Raises :class:`UserError` if the folder or the file cannot be used, or is lost while it is used."""

    def __init__(self, folder: Path, provenance: Mapping[str, Any] | None = None, *, write: bool = True) -> None:
        """Open or create the store of ``folder``.

        Args:
            provenance: facts of a new session, which claims runs and to which finished runs refer; None: no session.
            write: False needs no write permission and creates nothing; a missing store reads as an empty one.
        """
        self.path = store_file(folder)
        self.file = Database.writable(self.path) if write else Database.readable(self.path)
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._specs: dict[str, int] = {}
        self._heard: dict[int, tuple[float, float]] = {}
        self._session = 0
        if provenance is not None:
            now = time.time()
            with self.file.transaction("write to") as db:
                cursor = db.execute(
                    "INSERT INTO sessions (host, pid, started, heartbeat, ended, provenance) VALUES (?, ?, ?, ?, 0, ?)",
                    (self._host, self._pid, now, now, json.dumps(provenance)),
                )
            self._session = int(cursor.lastrowid or 0)

    def close(self) -> None:
        """Give up this session's claims and close the file."""
        if self._session:
            with contextlib.suppress(UserError), self.file.transaction("write to") as db:  # claims go stale by themselves
                db.execute("DELETE FROM claims WHERE session = ?", (self._session,))
                db.execute("UPDATE sessions SET ended = ? WHERE id = ?", (time.time(), self._session))
        self.file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise :class:`UserError` if the store was removed, moved, replaced or cut short since it was opened."""
        self.file.check()

    # -- writing ----------------------------------------------------------------------------------------------------

    def announce(self, rows: Sequence[PlannedRow], workers: int) -> None:
        """Store the plan of this session, for ``--status``. A second call changes only the number of runs of a row."""
        with self.file.transaction("write to") as db:
            db.executemany(
                "INSERT INTO plans VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET runs = excluded.runs, workers = excluded.workers",
                [(self._session, self._spec(db, row.spec), len(row.runs), len(row.done), workers) for row in rows],
            )

    def claimable(self, runs: Sequence[RunSpec]) -> list[RunSpec]:
        """Return those of ``runs`` that are neither finished nor claimed by a living process."""
        unavailable = self.finished(runs)
        with self.file.use("read") as db:
            unavailable |= {run_id for run_id, session in self._claims(db, runs) if self._alive(session)}
        return [run for run in runs if run.run_id not in unavailable]

    def claim(self, row: RowSpec, runs: Sequence[RunSpec]) -> list[RunSpec]:
        """Claim those of ``runs`` that are claimable for this session, and return them."""
        with self.file.transaction("claim runs in") as db:
            spec = self._spec(db, row)
            free = self.claimable(runs)
            db.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", [(run.run_id, spec, self._session) for run in free]
            )
        return free

    def holders(self, runs: Sequence[RunSpec]) -> dict[str, int]:
        """Return by host how many of ``runs`` other living processes have claimed."""
        counts: dict[str, int] = {}
        with self.file.use("read") as db:
            for _, session in self._claims(db, runs):
                if self._alive(session):
                    counts[session.host] = counts.get(session.host, 0) + 1
        return counts

    def beat(self) -> None:
        """Show other processes that this session still works on its claims."""
        with self.file.transaction("renew claims in") as db:
            db.execute("UPDATE sessions SET heartbeat = ? WHERE id = ?", (time.time(), self._session))

    def save(self, row: RowSpec, finished: Sequence[tuple[RunSpec, Result]]) -> None:
        """Write finished runs in one transaction and give up their claims. A run that is stored already does not change."""
        now = time.time()
        with self.file.transaction("save runs in") as db:
            spec = self._spec(db, row)
            rows = [
                (
                    *(run.run_id, spec, self._session, run.world, run.world_seed, run.method_seed),
                    *(result.status, result.arch, _json(result.scores), _json(result.spent)),
                    *(result.wall_seconds, result.error, now, pack(result.trace)),
                )
                for run, result in finished
            ]
            db.executemany(f"INSERT OR IGNORE INTO runs VALUES ({', '.join('?' * 14)})", rows)
            db.executemany("DELETE FROM claims WHERE run_id = ?", [(run.run_id,) for run, _ in finished])

    def forget(self, run_ids: Sequence[str]) -> None:
        """Delete runs. The next sweep does them again."""
        with self.file.transaction("delete runs in") as db:
            db.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in run_ids])

    # -- reading ----------------------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        """Return ``{run id: status}`` of every finished run."""
        with self.file.use("read") as db:
            return dict(db.execute("SELECT run_id, status FROM runs"))

    def specs(self) -> dict[str, dict[str, Any]]:
        """Return ``{identity: row specification}`` of every row that has finished runs, oldest first."""
        query = "SELECT s.identity, s.spec FROM specs s JOIN runs r ON r.spec = s.id GROUP BY s.id ORDER BY MAX(r.finished)"
        with self.file.use("read") as db:
            return {identity: self._parsed(spec, f"row {identity[:12]}") for identity, spec in db.execute(query)}

    def failed(self) -> list[tuple[dict[str, Any], int, str, str]]:
        """Return (row specification, world, status, error) of every run that is not ``done``, in order of row and world."""
        query = (
            "SELECT r.run_id, s.spec, r.world, r.status, r.error FROM runs r JOIN specs s ON r.spec = s.id"
            " WHERE r.status != 'done' ORDER BY s.id, r.world"
        )
        with self.file.use("read") as db:
            return [(self._parsed(spec, f"the row of run {run}"), *rest) for run, spec, *rest in db.execute(query)]

    def rows(self, identity: str, *, trace: bool = True) -> Iterator[dict[str, Any]]:
        """Yield the finished runs of one row, in order of world: columns of the table, JSON decoded, trace unpacked."""
        names = "run_id, world, status, arch, scores, spent, wall_seconds, error, session"
        of_row = "WHERE spec = (SELECT id FROM specs WHERE identity = ?) ORDER BY world"
        query = f"SELECT {names}{', trace' if trace else ''} FROM runs {of_row}"
        with self.file.use("read") as db:
            for values in db.execute(query, (identity,)):
                run = dict(zip(names.split(", "), values, strict=False))
                for name in ("scores", "spent"):
                    run[name] = self._parsed(run[name], f"{name} of run {run['run_id']}")
                if trace:
                    run["trace"] = self._unpacked(values[-1], run["run_id"])
                yield run

    def outcomes(self, identity: str) -> Iterator[tuple[str, str, dict[str, Any], float]]:
        """Yield (run id, status, scores, real seconds) of the finished runs of one row."""
        query = "SELECT run_id, status, scores, wall_seconds FROM runs WHERE spec = (SELECT id FROM specs WHERE identity = ?)"
        with self.file.use("read") as db:
            for run_id, status, scores, seconds in db.execute(query, (identity,)):
                yield run_id, status, self._parsed(scores, f"scores of run {run_id}"), seconds

    def finished(self, runs: Sequence[RunSpec]) -> set[str]:
        """Return the ids of those of ``runs`` that are finished."""
        with self.file.use("read") as db:
            return {run_id for (run_id,) in _select(db, "SELECT run_id FROM runs WHERE run_id IN", _ids(runs))}

    def every_run(self, *, trace: bool = False) -> Iterator[dict[str, Any]]:
        """Yield all finished runs in order of row and world, one at a time, with ``spec`` and ``provenance`` decoded."""
        names = "run_id, world, world_seed, method_seed, status, arch, scores, spent, wall_seconds, error, finished"
        columns = ", ".join(f"r.{name}" for name in names.split(", "))
        query = (
            f"SELECT {columns}, s.spec, m.provenance{', r.trace' if trace else ''} FROM runs r JOIN specs s ON s.id = r.spec"
            " LEFT JOIN sessions m ON m.id = r.session ORDER BY r.spec, r.world, r.run_id"
        )
        decoded: dict[str, dict[str, Any]] = {}
        with self.file.use("read") as db:
            for values in db.execute(query):
                run = dict(zip([*names.split(", "), "spec", "provenance"], values, strict=False))
                for name in ("scores", "spent"):
                    run[name] = self._parsed(run[name], f"{name} of run {run['run_id']}")
                for name in ("spec", "provenance"):
                    text = run[name] or "{}"
                    if text not in decoded:
                        decoded[text] = self._parsed(text, f"{name} of run {run['run_id']}")
                    run[name] = decoded[text]
                if trace:
                    run["trace"] = self._unpacked(values[-1], run["run_id"])
                yield run

    def columns(self, identity: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield some columns of the finished runs of one row as they are stored, in order of world."""
        query = f"SELECT {', '.join(names)} FROM runs WHERE spec = (SELECT id FROM specs WHERE identity = ?) ORDER BY world"
        with self.file.use("read") as db:
            yield from db.execute(query, (identity,))

    def sessions(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the provenance of the sessions with these ids, oldest first: ``id`` and the gathered facts.

        ``packages`` has the versions of numpy, torch and further packages that made the runs.
        """
        with self.file.use("read") as db:
            texts = _select(db, "SELECT id, provenance FROM sessions WHERE id IN", sorted(set(ids)))
            return [{"id": number, **self._parsed(text, f"session {number}")} for number, text in sorted(texts)]

    def costs(self) -> dict[str, tuple[int, float]]:
        """Return by row identity how many runs are done and the real seconds that they took together."""
        query = (
            "SELECT s.identity, COUNT(*), SUM(r.wall_seconds) FROM runs r JOIN specs s ON s.id = r.spec"
            " WHERE r.status = 'done' GROUP BY r.spec"
        )
        with self.file.use("read") as db:
            return {identity: (runs, seconds) for identity, runs, seconds in db.execute(query)}

    def announced(self) -> list[Announced]:
        """Return the plans of the sessions, oldest first."""
        query = (
            "SELECT m.id, m.host, m.pid, m.started, m.heartbeat, m.ended, m.provenance, s.spec, s.id, p.runs, p.done, p.workers"
            " FROM plans p JOIN sessions m ON m.id = p.session JOIN specs s ON s.id = p.spec ORDER BY p.session, p.spec"
        )
        sessions: dict[int, Session] = {}
        plans = []
        with self.file.use("read") as db:
            for number, host, pid, started, heartbeat, ended, provenance, spec, *numbers in db.execute(query):
                if number not in sessions:
                    command = str(self._parsed(provenance, f"session {number}").get("command", ""))
                    sessions[number] = Session(number, host, pid, started, heartbeat, ended, command)
                plans.append(Announced(sessions[number], self._parsed(spec, f"row {numbers[0]}"), *numbers))
        return plans

    # -- inside -----------------------------------------------------------------------------------------------------

    def _spec(self, db: sqlite3.Connection, row: RowSpec) -> int:
        """Return the number of a row specification in this file. Write the specification if it is new."""
        if row.identity not in self._specs:
            db.execute("INSERT OR IGNORE INTO specs (identity, spec) VALUES (?, ?)", (row.identity, _json(row.plain())))
            ((self._specs[row.identity],),) = db.execute("SELECT id FROM specs WHERE identity = ?", (row.identity,))
        return self._specs[row.identity]

    def _claims(self, db: sqlite3.Connection, runs: Sequence[RunSpec]) -> list[tuple[str, Session]]:
        query = (
            "SELECT c.run_id, s.id, s.host, s.pid, s.started, s.heartbeat, s.ended"
            " FROM claims c JOIN sessions s ON s.id = c.session WHERE c.run_id IN"
        )
        return [(run_id, Session(*session)) for run_id, *session in _select(db, query, _ids(runs))]

    def _alive(self, session: Session) -> bool:
        """Return whether another session still works.

        The clocks of two hosts may differ by any amount, so no heartbeat is compared with the clock of this host. A session is
        alive until this process sees the same heartbeat for ``STALE_S`` by its own stopwatch.
        """
        if session.id == self._session or session.gone() or (session.host, session.pid) == (self._host, self._pid):
            return False
        now = time.monotonic()
        heartbeat, since = self._heard.setdefault(session.id, (session.heartbeat, now))
        if heartbeat != session.heartbeat:
            self._heard[session.id] = session.heartbeat, now
            return True
        return now - since <= STALE_S

    def _parsed(self, text: str, what: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._damaged(what)
        return value

    def _unpacked(self, blob: bytes, run_id: str) -> dict[str, npt.NDArray[Any]]:
        try:
            return unpack(blob)
        except (ValueError, TypeError, AttributeError, KeyError, zlib.error, struct.error):
            raise self._damaged(f"the trace of run {run_id}") from None

    def _damaged(self, what: str) -> UserError:
        return UserError(f"{self.path} is damaged: {what} cannot be read; restore a copy, or name another folder with --out")


def _ids(runs: Sequence[RunSpec]) -> list[str]:
    return [run.run_id for run in runs]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _select(db: sqlite3.Connection, query: str, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(keys), 500):
        some = keys[at : at + 500]
        rows += db.execute(f"{query} ({', '.join('?' * len(some))})", some).fetchall()
    return rows


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
