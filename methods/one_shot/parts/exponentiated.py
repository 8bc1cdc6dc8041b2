"""Exponentiated gradient on simplices: GAEA's architecture update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Order = Literal["clamp_normalise", "normalise_clamp"]


def exponentiated_step(
    theta: Tensor,
    gradient: Tensor,
    rate: float,
    floor: float = 1e-5,
    order: Order = "clamp_normalise",
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Return ``theta * exp(-rate * gradient)``, normalised to the simplices (GAEA, eq. 8), in theta's shape and dtype.

    It is computed as the softmax of ``log theta - rate * gradient``, so that no gradient overflows.

    Args:
        theta: each row (last dimension) is on a simplex; with ``sizes``, a vector of consecutive simplices.
        gradient: gradient of the loss by theta; theta are the mixture weights themselves.
        rate: step size.
        floor: entries are raised to this, as in the released code but not in the papers; 0: they are not raised.
        order: which of the two steps comes first (D-21). The released DARTS and PC-DARTS clamp first. The released GDAS
            clamps last, so that rows sum to slightly more than 1.
        sizes: lengths of the simplices of a vector, such as the edge weights of PC-DARTS with one simplex per node (its
            released code does not clamp them: ``floor=0``).
    """
    if order not in ("clamp_normalise", "normalise_clamp"):
        raise ValueError(f"order is 'clamp_normalise' or 'normalise_clamp', not {order!r}")
    with torch.no_grad():
        logits = theta.log() - rate * gradient
        if floor and order == "clamp_normalise":
            logits = logits.clamp_min(math.log(floor))
        rows = [logits] if sizes is None else torch.split(logits, list(sizes))
        stepped = torch.cat([row.softmax(-1) for row in rows])
        return stepped.clamp_min(floor) if order == "normalise_clamp" else stepped


def entropic_penalty(theta: Tensor) -> Tensor:
    """Return ``sum theta log(n theta)`` over rows of n entries: their Kullback-Leibler divergence from uniform rows.

    It is differentiable. The released code adds 0.01 of it to GDAS' loss; the paper does not (D-22).
    """
    return torch.xlogy(theta, theta * theta.shape[-1]).sum()


def entropic_penalties(tables: Sequence[Tensor]) -> Tensor:
    """Return the sum of :func:`entropic_penalty` over tables."""
    return torch.stack([entropic_penalty(theta) for theta in tables]).sum()
