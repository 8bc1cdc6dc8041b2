"""Ranks of architectures under shared weights and under their own (CoNAS, figure 3)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.analysis.signal import Ranked, as_printed
from harness.analysis.statistics import kendall
from harness.analysis.study import Study
from harness.analysis.traces import Traces
from reports.figures import ROW, Drawing, Panel, render
from reports.formats import number, probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ranks(study: Study, traces: Traces) -> Drawing | None:
    """Draw a line for each probed cell of each row's first run, from its rank under shared weights to that under its own."""
    panels = []
    for benchmark in study.benchmarks:
        for row, (source, (run, *_)) in as_printed(study, traces, benchmark).items():
            tau, p = kendall(run.by_shared, run.by_own)
            where = f" on {benchmark}" if len(study.benchmarks) > 1 else ""
            title = f"{study.label(row)}{where}: τ = {number(tau)}, p {probability(p)}"
            panels.append(Panel(title, "", f"rank by the {'loss' if source.by_loss else 'accuracy'}", partial(_draw, row, run)))
    text = (
        "Ranks of the cells that each row's first search probed: under the shared weights of its supernet, and after each was "
        "trained alone; 1 is the best. The better the shared weights rank, the more level the lines."
    )
    return Drawing(render(study, panels), text) if panels else None


def places(run: Ranked) -> np.ndarray:
    """Return the ranks (2, architectures) under shared and under own weights, 1 for the best; equals have their mean rank."""
    return np.array([pd.Series(-merits).rank().to_numpy() for merits in (run.by_shared, run.by_own)])


def _draw(row: str, run: Ranked, panel: Axes, looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    look: dict[str, Any] = {"color": looks[row]["color"], "marker": "o", "markersize": 2.5, "linewidth": 0.8, "alpha": 0.7}
    for line in panel.plot([0, 1], places(run), gid=f"{ROW}{row}", **look):
        line.set_clip_on(False)  # points lie on the border
    panel.set_xticks([0, 1], ["shared weights", "own weights"])
    panel.set(xlim=(-0.05, 1.05), ylim=(len(run.shared) + 0.5, 0.5))
    panel.grid(False)
    return {}
