"""Arguments of a pass through the supernet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from harness.weight_sharing import Active


class Forward(NamedTuple):
    """Arguments of a pass through the supernet; see :class:`harness.weight_sharing.Supernet`."""

    weights: Sequence[Tensor] | None = None
    active: Active | list[Active] | None = None
    straight_through: bool = False


class CellForward(NamedTuple):
    """Arguments of a pass in which each cell of the network has its own weights and options."""

    weights: Sequence[Sequence[Tensor]]
    active: list[Active]
    straight_through: bool = False


EVERYTHING = Forward()
