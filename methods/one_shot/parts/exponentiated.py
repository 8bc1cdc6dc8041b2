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
    """``theta * exp(-rate * gradient)`` brought back to the simplices (GAEA, eq. 8): new values, of theta's shape and dtype.

    Computed as a softmax of ``log theta - rate * gradient``, so that no gradient overflows.

    Args:
        theta: each row (last dimension) on a simplex; with ``sizes`` a vector of consecutive simplices.
        gradient: of the loss by theta, theta being the mixture weights themselves.
        floor: entries are raised to this (the papers do not say so, the released code does); 0 never does.
        order: which of the two comes first (D-21). The released DARTS and PC-DARTS clamp first; GDAS clamps last, where
            rows sum to slightly more than 1.
        sizes: lengths of the simplices of a vector, such as the edge weights of PC-DARTS, one simplex per node
            (which its released code does not clamp: ``floor=0``).
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


def uniform(sizes: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """A vector of consecutive simplices of these lengths, each at its centre."""
    return torch.cat([torch.full((size,), 1.0 / size, dtype=dtype) for size in sizes])


def entropic_penalty(theta: Tensor) -> Tensor:
    """``sum theta log(n theta)`` over rows of n entries: their Kullback-Leibler divergence from the uniform ones.

    Differentiable; the released code adds 0.01 of it to GDAS' loss, the paper nothing (D-22).
    """
    return torch.xlogy(theta, theta * theta.shape[-1]).sum()
