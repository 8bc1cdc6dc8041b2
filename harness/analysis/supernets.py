"""What supernets had learned when their searches ended."""

from __future__ import annotations

import numpy as np

from harness.analysis.epochs import last
from harness.analysis.study import AT_CHANCE
from harness.analysis.traces import Log, Traces


def at_the_end(traces: Traces, benchmark: str, row: str) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy of the supernet and of guessing, in percent, of the finished searches that logged both."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    ends = [(last(log, Log.FINAL_SUPERNET_ACCURACY), last(log, Log.CHANCE)) for log in logs]
    accuracy, guessing = np.array([end for end in ends if None not in end], dtype=float).reshape(-1, 2).T
    return accuracy, guessing


def at_chance(traces: Traces, benchmark: str, row: str) -> int:
    """Return the number of searches whose supernet ended at chance."""
    accuracy, guessing = at_the_end(traces, benchmark, row)
    return int((accuracy <= AT_CHANCE * guessing).sum())


def usable(traces: Traces, benchmark: str, row: str) -> list[float]:
    """Return the share of its measurements that each search of a row could use, in percent."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    totals = [(np.nansum(log[Log.USABLE]), np.nansum(log[Log.MEASURED])) for log in logs if Log.MEASURED in log]
    return [float(100 * usable / measured) for usable, measured in totals if measured]
