"""The rule for recorded numbers of all sources.

Times, losses, parameters and multiply-adds are finite and not negative. Accuracies are percentages. NaN means: not recorded.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_MOST = {"accuracy": 100.0}


def impossible(values: npt.NDArray[np.floating], metric: str) -> npt.NDArray[np.bool_]:
    """Return a mask of the values that no training can have."""
    return np.asarray((values < 0) | (values > _MOST.get(metric, math.inf)) | np.isinf(values))


def is_impossible(value: float, metric: str) -> bool:
    """Return whether no training can have this value."""
    return value < 0 or value > _MOST.get(metric, math.inf) or math.isinf(value)
