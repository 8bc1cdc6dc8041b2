"""The union of two stores. A run's id is a hash of its specification and seeds: equal ids mean the same run."""

from __future__ import annotations

import itertools
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.store import Store

BATCH = 500

_CONTENT = ("world", "world_seed", "method_seed", "status", "arch", "scores", "spent", "trace")
"""Columns in which two records of the same run must agree. Times, error texts and sessions may differ."""
_COLUMNS = ("run_id", "spec", "session", *_CONTENT, "wall_seconds", "error", "finished")


@dataclass
class Merged:
    """Result of merging one source."""

    added: int = 0
    present: int = 0
    """Runs that the target had already, with the same content."""
    conflicts: list[tuple[str, list[str]]] = field(default_factory=list)
    """Ids of runs that the target has with other content, and the columns that differ. The target's record stays."""


def merge(source: Store, target: Store) -> Merged:
    """Add the finished runs of ``source`` to ``target``, with the row specifications and sessions that they refer to.

    Both stores number their rows and sessions independently: the added ones get new numbers. Claims and plans stay.
    """
    merged = Merged()
    with source.file.use("read") as old:
        runs = old.execute(f"SELECT {', '.join(_COLUMNS)} FROM runs ORDER BY rowid")
        while batch := [dict(zip(_COLUMNS, values, strict=True)) for values in itertools.islice(runs, BATCH)]:
            with target.file.transaction("merge into") as new:
                present = {run["run_id"]: run for run in _present(new, [run["run_id"] for run in batch])}
                fresh = [run for run in batch if run["run_id"] not in present]
                _renumber(fresh, "spec", _rows(old, new, {run["spec"] for run in fresh}))
                _renumber(fresh, "session", _sessions(old, new, {run["session"] for run in fresh}))
                new.executemany(
                    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})",
                    [tuple(run.values()) for run in fresh],
                )
            merged.added += len(fresh)
            for run in batch:
                if run["run_id"] in present:
                    differing = [name for name in _CONTENT if not _same(name, run[name], present[run["run_id"]][name])]
                    if differing:
                        merged.conflicts.append((run["run_id"], differing))
                    else:
                        merged.present += 1
    return merged


def _present(db: sqlite3.Connection, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    query = f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE run_id IN ({', '.join('?' * len(ids))})"
    for values in db.execute(query, ids):
        yield dict(zip(_COLUMNS, values, strict=True))


def _renumber(runs: Sequence[dict[str, Any]], name: str, numbers: dict[int, int]) -> None:
    for run in runs:
        run[name] = numbers[run[name]]


def _rows(old: sqlite3.Connection, new: sqlite3.Connection, numbers: set[int]) -> dict[int, int]:
    """Write row specifications, and return their numbers in the target by their numbers in the source."""
    renumbered = {}
    for number in sorted(numbers):
        identity, spec = old.execute("SELECT identity, spec FROM specs WHERE id = ?", (number,)).fetchone()
        new.execute("INSERT OR IGNORE INTO specs (identity, spec) VALUES (?, ?)", (identity, spec))
        (renumbered[number],) = new.execute("SELECT id FROM specs WHERE identity = ?", (identity,)).fetchone()
    return renumbered


def _sessions(old: sqlite3.Connection, new: sqlite3.Connection, numbers: set[int]) -> dict[int, int]:
    """Write sessions as :func:`_rows` does. Host, process and start identify a session that was merged before."""
    renumbered = {0: 0}
    names = "host, pid, started, heartbeat, ended, provenance"
    for number in sorted(numbers - {0}):
        values = old.execute(f"SELECT {names} FROM sessions WHERE id = ?", (number,)).fetchone()
        same = new.execute("SELECT id FROM sessions WHERE host = ? AND pid = ? AND started = ?", values[:3]).fetchone()
        if same is None:
            same = (new.execute(f"INSERT INTO sessions ({names}) VALUES (?, ?, ?, ?, ?, ?)", values).lastrowid,)
        renumbered[number] = int(same[0] or 0)
    return renumbered


def _same(name: str, ours: Any, theirs: Any) -> bool:
    if name != "trace" or ours == theirs:
        return bool(ours == theirs)
    try:
        return zlib.decompress(ours) == zlib.decompress(theirs)  # two versions of zlib may pack the same content differently
    except (zlib.error, TypeError):
        return False
