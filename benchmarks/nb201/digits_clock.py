"""What the cost of a cell of nb201/digits is made of: how many edges have each operation but ``none``, which costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.nb201.space import OPS, official_order
from benchmarks.training.clock import Floats

FEATURES = OPS[1:]


def features(numbers: Sequence[int]) -> Floats:
    """Of the cells of these official indices: (cells, features)."""
    cells = np.array([official_order()[number] for number in numbers])
    return np.stack([(cells == op).sum(1).astype(float) for op in range(1, len(OPS))], axis=1)
