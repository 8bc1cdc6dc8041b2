"""What supernets had learned when their searches ended."""

from __future__ import annotations

import numpy as np

from harness.analysis.epochs import last
from harness.analysis.study import AT_CHANCE
from harness.analysis.traces import Log, Traces


def at_the_end(traces: Traces, benchmark: str, row: str) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy of the supernet and of guessing, in percent, of the finished searches that logged both."""
    accuracy, guessing, _ = _ends(traces, benchmark, row)
    return accuracy, guessing


def at_chance(traces: Traces, benchmark: str, row: str) -> int:
    """Return the number of searches whose supernet ended at chance."""
    accuracy, _, most = _ends(traces, benchmark, row)
    return int((accuracy <= most).sum())


def _ends(traces: Traces, benchmark: str, row: str) -> np.ndarray:
    """Return (3, searches): accuracy of the supernet, of guessing, and the largest at chance, which old stores lack."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    ends = [[last(log, name) for name in (Log.FINAL_SUPERNET_ACCURACY, Log.CHANCE, Log.AT_CHANCE)] for log in logs]
    known = np.array([end for end in ends if None not in end[:2]], dtype=float).reshape(-1, 3)
    known[:, 2] = np.where(np.isnan(known[:, 2]), AT_CHANCE * known[:, 1], known[:, 2])
    return known.T


def usable(traces: Traces, benchmark: str, row: str) -> list[float]:
    """Return the share of its measurements that each search of a row could use, in percent."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    totals = [(np.nansum(log[Log.USABLE]), np.nansum(log[Log.MEASURED])) for log in logs if Log.MEASURED in log]
    return [float(100 * usable / measured) for usable, measured in totals if measured]
