"""How long planned runs take, estimated from the runs of the same row, or of the same kind, that are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Work:
    """The remaining runs of one row, and the known cost of its runs."""

    kind: str
    left: float
    """Runs that are not done; a run under way counts by the share that is left of it."""
    runs: float = 0.0
    """Runs of the row whose cost is known; a run under way counts by its share."""
    seconds: float = 0.0
    """Real seconds that they took together."""


def seconds_left(rows: Sequence[Work], workers: int) -> float | None:
    """Return the real seconds until all rows are done; None if the cost of a row and of its kind is unknown.

    A row without a finished run is priced at the mean cost of the other rows of its kind.
    """
    known = defaultdict(list)
    for row in rows:
        if row.runs:
            known[row.kind].append(row.seconds / row.runs)
    total, longest = 0.0, 0.0
    for row in rows:
        if row.left <= 0:
            continue
        if not known[row.kind]:
            return None
        each = row.seconds / row.runs if row.runs else fmean(known[row.kind])
        total += row.left * each
        longest = max(longest, min(row.left, 1.0) * each)
    return max(total / max(workers, 1), longest)


def clock(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def duration(seconds: float) -> str:
    """Return a duration in words: 3.2 s, 45 s, 12 min, 3 h 05 min, 4 days."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes / 60 / 24:.0f} days"
