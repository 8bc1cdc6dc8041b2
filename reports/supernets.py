"""What supernets had learned when their searches ended. A row with a supernet that guesses is marked."""

from __future__ import annotations

import numpy as np

from reports.epochs import last
from reports.formats import number, spread
from reports.layout import Cited, Table
from reports.lines import tabled
from reports.statistics import mean_std
from reports.study import AT_CHANCE, Study
from reports.traces import Log, Traces


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


def marked(study: Study, benchmark: str, row: str) -> Cited:
    """Return the row's label with the papers of its method, and with the number of searches whose supernet ended at chance."""
    label, traces = study.cited(row), study.evidence.traces
    dead = at_chance(traces, benchmark, row) if row in study.shared_weights(benchmark) else 0
    runs = len(study.done(benchmark, row))
    return Cited(f"{label} (supernet at chance: {dead} of {runs})", label.keys) if dead else label


def ends(study: Study, traces: Traces, benchmark: str) -> Table | None:
    """Return the supernet's accuracy at the end of the search per row of weight sharing; None if no search logged it."""
    lines = []
    for row in study.shared_weights(benchmark):
        accuracy, guessing = at_the_end(traces, benchmark, row)
        line = {"method": study.label(row), "runs": str(len(accuracy))}
        if len(accuracy):
            line["supernet at the end"] = spread(*mean_std(accuracy))
            line["guessing"] = ", ".join(number(level) for level in np.unique(guessing))
            line["at chance"] = f"{at_chance(traces, benchmark, row)} of {len(accuracy)}"
        if usable := _usable(traces, benchmark, row):
            line["usable measurements %"] = usable
        lines.append(line)
    known = any("at chance" in line for line in lines)
    return tabled("Validation accuracy, in percent, of the supernet after its last epoch.", lines if known else [])


def _usable(traces: Traces, benchmark: str, row: str) -> str:
    """Return the share of the measurements that a row's searches could use, in percent, mean ± standard deviation."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    totals = [(np.nansum(log[Log.USABLE]), np.nansum(log[Log.MEASURED])) for log in logs if Log.MEASURED in log]
    shares = [100 * usable / measured for usable, measured in totals if measured]
    return spread(*mean_std(shares), 0) if shares else ""
