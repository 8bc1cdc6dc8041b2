"""Subsets of the operations of the DARTS space that papers search in. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Names = Mapping[str, tuple[str, ...]]
"""For each kind of cell, the names of its operations."""

CHERRY_PICKED: Names = {"normal": ("skip_connect", "sep_conv_3x3"), "reduce": ("max_pool_3x3", "skip_connect")}
"""SparseNAS' smaller space (arXiv:2009.08966, appendix)."""

_FIVE = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5")
FIVE: Names = {"normal": _FIVE, "reduce": _FIVE}
"""The five operations of CoNAS' Table 6, which does not name them. Assumed: all but dilated convolutions, as in ENAS (D-67)."""

Subset = Literal["all", "cherry_picked", "five"]


def choices(subset: Subset) -> dict[str, Names]:
    """Return the choices of the supernet for a subset; see :meth:`harness.weight_sharing.Task.supernet`."""
    return {} if subset == "all" else {"operations": CHERRY_PICKED if subset == "cherry_picked" else FIVE}
