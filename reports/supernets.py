"""What supernets had learned when their searches ended. A row with a supernet that guesses is marked."""

from __future__ import annotations

import numpy as np

from harness.analysis.statistics import mean_std
from harness.analysis.study import Study
from harness.analysis.supernets import at_chance, at_the_end, usable
from harness.analysis.traces import Traces
from reports import sources
from reports.formats import number, spread
from reports.layout import Cited, Table
from reports.lines import tabled


def marked(study: Study, benchmark: str, row: str) -> Cited:
    """Return the row's label with the papers of its method, and with the number of searches whose supernet ended at chance."""
    dead = at_chance(study.evidence.traces, benchmark, row) if row in study.shared_weights(benchmark) else 0
    runs = len(study.done(benchmark, row))
    return sources.method(study, row, f" (supernet at chance: {dead} of {runs})" if dead else "")


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
        if shares := usable(traces, benchmark, row):
            line["usable measurements %"] = spread(*mean_std(shares), 0)
        lines.append(line)
    known = any("at chance" in line for line in lines)
    return tabled("Validation accuracy, in percent, of the supernet after its last epoch.", lines if known else [])
