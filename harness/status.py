"""Print for ``--status`` the runs of a store that are done, running and failed, and when the rest will end."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.database import Database
from harness.outcome import TOO_SMALL
from harness.pace import Work, duration, seconds_left
from harness.store import STALE_S, Session, Store

LOST_S = 10 * STALE_S
"""A command without a sign of life for this long has ended."""


@dataclass
class _Row:
    name: str
    benchmark: str
    kind: str
    runs: int
    """Planned."""
    before: int
    """Of these, done when the command began."""
    since: float
    """When that was."""
    done: int = 0
    failed: int = 0
    running: int = 0
    timed: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        return max(self.runs - self.done, 0)


def show(store: Store) -> None:
    """Print the commands that work on the store, or the last one that did, and where each of their rows stands."""
    plans = store.announced()
    claims = _claims(store.file)
    working = {plan.session.id: plan.session for plan in plans if _works(plan.session)}
    last = max((plan.session.id for plan in plans), default=0)
    commands = working or {plan.session.id: plan.session for plan in plans if plan.session.id == last}
    if not commands:
        print(f"no plan in {store.path}")
        return
    for session in commands.values():
        print(f"{'running' if working else 'ended'}: {session.command}")
        print(f"  {_where(session)}, began {_ago(session.started)}, {_heard(session, claims)}")
    rows: dict[int, _Row] = {}
    workers: dict[int, int] = {}
    for plan in plans:
        if plan.session.id in commands:
            workers[plan.session.id] = plan.workers
            spec = plan.spec
            fresh = _Row(spec["row"], spec["benchmark"], spec["kind"], plan.runs, plan.done, plan.session.started)
            row = rows.setdefault(plan.number, fresh)
            row.runs = max(row.runs, plan.runs)
    _count_runs(store.file, rows)
    _table(rows.values())
    done, total = sum(row.done for row in rows.values()), sum(row.runs for row in rows.values())
    works = [Work(row.kind, row.left, row.timed, row.seconds) for row in rows.values()]
    failed = sum(row.failed for row in rows.values())
    if done >= total and failed:
        print(f"all runs are finished, {failed:,} of them failed (--failed shows why)")
    elif done >= total:
        print("all runs are done")
    elif not working:
        print(f"{total - done:,} runs are left; the same command goes on with them")
    elif (seconds := seconds_left(works, sum(workers.values()))) is None:
        print("ends: unknown until a run of every kind is done")
    else:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + seconds))
        print(f"ends in about {duration(seconds)}, at {at}, if it goes on as the finished runs did")


def _claims(file: Database) -> dict[int, int]:
    """Return by session how many runs it has claimed."""
    with file.use("read") as db:
        return dict(db.execute("SELECT session, COUNT(*) FROM claims GROUP BY session"))


def _works(session: Session) -> bool:
    """Return whether the command still works. One look cannot be certain, so its last sign of life is printed too."""
    return not session.ended and not session.gone() and time.time() - session.heartbeat < LOST_S


def _where(session: Session) -> str:
    return f"process {session.pid} on {'this host' if session.host == socket.gethostname() else session.host}"


def _heard(session: Session, claims: dict[int, int]) -> str:
    runs = claims.get(session.id, 0)
    if session.ended:
        return f"ended {_ago(session.ended)}"
    if not _works(session):
        return f"ended without a word, last sign of life {_ago(session.heartbeat)}" + (
            f"; its {runs} runs are free" if runs else ""
        )
    return f"has claimed {runs} runs, last sign of life {_ago(session.heartbeat)}"


def _ago(moment: float) -> str:
    seconds = time.time() - moment
    return f"{duration(seconds)} ago" if seconds >= 0 else "in the future by this host's clock"


def _count_runs(file: Database, rows: dict[int, _Row]) -> None:
    """Count the runs of each row: those done before its command began, and those finished since."""
    query = "SELECT spec, status, COUNT(*), SUM(wall_seconds), SUM(finished >= ?) FROM runs WHERE spec = ? GROUP BY status"
    with file.use("read") as db:
        claimed = Counter(dict(db.execute("SELECT spec, COUNT(*) FROM claims GROUP BY spec")))
        for number, row in rows.items():
            since = 0
            for _, status, runs, seconds, fresh in db.execute(query, (row.since, number)):
                since += fresh
                if status == "done":
                    row.timed, row.seconds = runs, seconds
                elif status != TOO_SMALL:
                    row.failed += runs
            row.done = min(row.runs, row.before + since)
            row.running = claimed[number]


def _table(rows: Iterable[_Row]) -> None:
    rows = list(rows)
    width = max([len(row.name) for row in rows] + [6]) + 2
    print(f"  {'row':{width}}{'done':>8}{'of':>8}{'failed':>8}{'running':>9}  {'each takes':12}")
    shown = ""
    for row in sorted(rows, key=lambda row: row.benchmark):
        if row.benchmark != shown:
            shown = row.benchmark
            print(f"  {shown}")
        each = duration(row.seconds / row.timed) if row.timed else ""
        print(f"  {row.name:{width}}{row.done:>8,}{row.runs:>8,}{row.failed:>8,}{row.running:>9,}  {each}".rstrip())
    numbers = [sum(getattr(row, name) for row in rows) for name in ("done", "runs", "failed", "running")]
    print(f"  {'total':{width}}{numbers[0]:>8,}{numbers[1]:>8,}{numbers[2]:>8,}{numbers[3]:>9,}")
