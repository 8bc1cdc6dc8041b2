"""The optimiser of a supernet's weights: SGD with momentum on one flat tensor.

All weights lie in one tensor with their gradients beside it, so that a step and a norm are a few calls, whatever the number
of operations. A gradient that no pass wrote is zero: operations that were not run keep decaying and moving, as they did in
the papers' PyTorch (D-42, D-06).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn


class Sgd:
    """Stochastic gradient descent as ``torch.optim.SGD`` makes it.

    Args:
        module: its parameters move into the flat tensor and stay the module's.
        inactive: ``decay``: a weight whose gradient is zero still decays and moves by its momentum; ``keep``: it stays as
            it is, as CoNAS' paper says of operations that were not sampled.
    """

    def __init__(
        self, module: nn.Module, momentum: float, decay: float, nesterov: bool, inactive: Literal["decay", "keep"] = "decay"
    ) -> None:
        parameters = list(module.parameters())
        size = sum(p.numel() for p in parameters)
        self.flat = torch.empty(size, dtype=parameters[0].dtype, device=parameters[0].device)
        self.gradient = torch.zeros_like(self.flat)
        self.buffer = torch.zeros_like(self.flat)
        self.momentum, self.decay, self.nesterov, self.inactive = momentum, decay, nesterov, inactive
        self.held: Tensor | None = None
        """bool, flat: what every step leaves as it is."""
        start = 0
        for p in parameters:
            part = slice(start, start + p.numel())
            view = _like(self.flat[part], p)
            view.copy_(p.detach())
            p.data = view
            p.grad = _like(self.gradient[part], p)
            start = part.stop

    def zero(self) -> None:
        """Forgets the gradients. They are written in place: never set to None."""
        self.gradient.zero_()

    def clip(self, norm: float, others: Iterable[Tensor] = ()) -> None:
        """Scales the gradients down to a joint Euclidean norm, that of ``others`` (gradients too) counted and scaled."""
        shared = list(others)
        parts = [torch.linalg.vector_norm(self.gradient), *(torch.linalg.vector_norm(g) for g in shared)]
        factor = (norm / (torch.linalg.vector_norm(torch.stack(parts)) + 1e-6)).clamp(max=1.0)
        for gradient in (self.gradient, *shared):
            gradient.mul_(factor)

    def direction(self) -> Tensor:
        """Gradient plus weight decay, flat."""
        return torch.add(self.gradient, self.flat, alpha=self.decay)

    def step(self, rate: float) -> None:
        """One step along the gradients that are there."""
        with torch.no_grad():
            step = self.direction()
            stays = self.gradient == 0 if self.inactive == "keep" else self.held
            kept = None if stays is None else (self.flat.clone(), self.buffer.clone())
            self.buffer.mul_(self.momentum).add_(step)
            self.flat.add_(step.add_(self.buffer, alpha=self.momentum) if self.nesterov else self.buffer, alpha=-rate)
            if kept and stays is not None:
                for value, before in zip((self.flat, self.buffer), kept, strict=True):
                    value.copy_(torch.where(stays, before, value))  # a mask as an index would wait for the device

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.flat, "momentum": self.buffer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.flat.copy_(state["weights"])
            self.buffer.copy_(state["momentum"])


def cosine(epoch: int, epochs: int, start: float, end: float, restart: float = 0.0) -> float:
    """The learning rate of an epoch (from 0): half a cosine from ``start``, reaching ``end`` after ``epochs`` epochs.

    Beyond it the cosine goes on and rises again (ENAS); with ``restart`` it starts anew from so much of ``start``, and so on
    every ``epochs`` epochs (GAEA's release, .5).
    """
    if restart:
        start, epoch = start * restart ** (epoch // epochs), epoch % epochs
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _like(flat: Tensor, parameter: Tensor) -> Tensor:
    """A view of ``flat`` in the shape and memory format of ``parameter``."""
    if parameter.dim() == 4 and parameter.is_contiguous(memory_format=torch.channels_last):
        out, inner, height, width = parameter.shape
        return flat.view(out, height, width, inner).permute(0, 3, 1, 2)
    return flat.view(parameter.shape)
