"""Logarithmic axes with plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


def logarithmic(panel: Axes, ratio: float = 1.0) -> bool:
    """Make the vertical axis, and those that share it, logarithmic if the lines span that ratio; return whether it is."""
    axes = panel.get_shared_y_axes().get_siblings(panel)
    lines = [np.asarray(line.get_ydata(), dtype=float) for axis in axes for line in axis.lines]
    positive = np.concatenate([values[values > 0] for values in lines]) if lines else np.empty(0)
    if not positive.size or positive.max() < ratio * positive.min():  # lines of zeros have no logarithm
        return False
    panel.set_yscale("log", nonpositive="clip")
    panel.set_ylim(max(positive.min() * 0.7, 1e-3), positive.max() * 1.2)
    plain_logarithmic(panel.yaxis, *panel.get_ylim())
    return True


def plain_logarithmic(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis from ``low`` to ``high`` with plain numbers that do not overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ratio = high / low
    steps = (1.0, 2.0, 5.0) if ratio < 60 else (1.0, 3.0) if ratio < 1000 else (1.0,)  # labels that do not overlap
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", "\N{THIN SPACE}")))
    axis.set_minor_formatter(NullFormatter())
