"""What supernets had learned when their searches ended. A row with a supernet that guesses is marked."""

from __future__ import annotations

import numpy as np

from reports.epochs import last
from reports.formats import MISSING, number, spread
from reports.layout import Cited, Column, Table
from reports.statistics import mean_std
from reports.study import Study
from reports.traces import Log, Traces

AT_CHANCE = 1.5
"""A supernet, or the test accuracy of a run, is at chance if it is at most this many times that of guessing."""


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
    rows = {row: at_the_end(traces, benchmark, row) for row in study.shared_weights(benchmark)}
    if not any(len(accuracy) for accuracy, _ in rows.values()):
        return None
    usable = {row: _usable(traces, benchmark, row) for row in rows}
    names = ["method", "runs", "supernet at the end", "guessing", "at chance"]
    names += ["usable measurements %"] if any(text != MISSING for text in usable.values()) else []
    table = Table(
        "Validation accuracy, in percent, of the supernet after its last epoch, mean ± standard deviation (ddof 0) over the "
        "runs that reached it; runs that their budget ended before are not among them. Supernets that mix operations are "
        "evaluated with their last architecture weights. Those that train single cells have the median accuracy of several "
        f"random cells. At chance: runs whose supernet is at most {AT_CHANCE:g} times as accurate as guessing. Such a search "
        "learned nothing from its supernet, and its row is marked in the table of results."
        + (" Usable measurements: the share of the measured cells that the polynomial is fitted to." if len(names) > 5 else ""),
        [Column(name, right=name != "method") for name in names],
    )
    for row, (accuracy, guessing) in rows.items():
        levels = ", ".join(number(level) for level in np.unique(guessing)) or MISSING
        dead = f"{at_chance(traces, benchmark, row)} of {len(accuracy)}" if len(accuracy) else MISSING
        end = spread(*mean_std(accuracy)) if len(accuracy) else MISSING
        table.add([study.label(row), str(len(accuracy)), end, levels, dead, *[usable[row]] * (len(names) > 5)])
    return table


def _usable(traces: Traces, benchmark: str, row: str) -> str:
    """Return the share of the measurements that a row's searches could use, in percent, mean ± standard deviation."""
    logs = [search.log for search in traces.of(benchmark, row).logging()]
    totals = [(np.nansum(log[Log.USABLE]), np.nansum(log[Log.MEASURED])) for log in logs if Log.MEASURED in log]
    shares = [100 * usable / measured for usable, measured in totals if measured]
    return spread(*mean_std(shares), 0) if shares else MISSING
