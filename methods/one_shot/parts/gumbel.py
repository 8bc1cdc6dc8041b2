"""Gumbel samples, soft and hard with a straight-through gradient (GDAS), and their temperatures."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel_one_hot(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw one category per row with probability ``softmax(logits)``. Return it one-hot, in the shape and dtype of ``logits``.

    The gradient is that of :func:`gumbel_softmax`. For a simplex theta the logits are ``theta.log()``.
    The generator is on the device of the logits.
    """
    soft = gumbel_softmax(logits, temperature, generator)
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())  # exactly zero in value, the softmax in gradient


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Return ``softmax((logits + G) / temperature)`` over the last dimension, with Gumbel noise G."""
    exponential = torch.empty(logits.shape, dtype=logits.dtype, device=generator.device).exponential_(generator=generator)
    # an exponential of zero would give infinite noise, whose softmax is undefined
    noise = -exponential.clamp_min(torch.finfo(logits.dtype).tiny).log()
    return ((logits + noise) / temperature).softmax(-1)


def linear_temperature(epoch: float, epochs: int, start: float = 10.0, end: float = 0.1, warmup: float = 0) -> float:
    """Return the temperature of an epoch (from 0): ``start`` for ``warmup`` epochs, then linear to ``end`` in the last one."""
    return start - (start - end) * max(epoch - warmup, 0) / max(epochs - 1 - warmup, 1)


def released_temperature(epoch: float, epochs: int, start: float = 10.0, end: float = 0.1, warmup: float = 50) -> float:
    """Return the temperature of GAEA's released schedule: with warm-up it does not reach ``end`` (D-26)."""
    return start - (start - end) * max(epoch - warmup, 0) / max(epochs - 1, 1)
