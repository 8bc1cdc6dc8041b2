"""Gumbel samples, hard ones with a straight-through gradient (GDAS), and their temperatures."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel_one_hot(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One category per row, drawn with probability ``softmax(logits)``: exactly one-hot, like ``logits`` in shape and dtype.

    The gradient is that of :func:`gumbel_softmax`. For a simplex theta the logits are ``theta.log()``.
    The noise G is drawn on the generator's own device, so a CPU generator gives every device the same samples.
    """
    soft = gumbel_softmax(logits, temperature, generator)
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())  # exactly zero in value, the softmax in gradient


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """``softmax((logits + G) / temperature)`` over the last dimension, G being Gumbel noise."""
    exponential = torch.empty(logits.shape, dtype=logits.dtype, device=generator.device).exponential_(generator=generator)
    # a zero among the exponentials would make infinite noise, and an undefined softmax of it
    noise = -exponential.clamp_min(torch.finfo(logits.dtype).tiny).log().to(logits.device)
    return ((logits + noise) / temperature).softmax(-1)


def linear_temperature(epoch: int, epochs: int, start: float = 10.0, end: float = 0.1, warmup: int = 0) -> float:
    """From ``start``, kept for ``warmup`` epochs, linearly to ``end``, reached in the last epoch (epochs count from 0)."""
    return start - (start - end) * max(epoch - warmup, 0) / max(epochs - 1 - warmup, 1)


def released_temperature(epoch: int, epochs: int, start: float = 10.0, end: float = 0.1, warmup: int = 50) -> float:
    """GAEA's released schedule: warm-up shortens the way but not its length, so ``end`` is not reached (D-26)."""
    return start - (start - end) * max(epoch - warmup, 0) / max(epochs - 1, 1)
