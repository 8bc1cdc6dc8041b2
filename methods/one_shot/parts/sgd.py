"""The optimiser of a supernet's weights: SGD with momentum on one flat tensor.

All weights are in one tensor, and their gradients in another. A step and a norm are then a few calls for any number of
operations. A gradient that no pass has written is zero: operations that were not executed keep decaying and moving, as in the
papers' version of PyTorch (D-42, D-06).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.steps import Number


class Sgd:
    """Stochastic gradient descent, equal to ``torch.optim.SGD``.

    Args:
        module: its parameters become views of the flat tensor.
        momentum: momentum.
        decay: L2 penalty.
        nesterov: use Nesterov momentum.
        inactive: ``decay``: a weight whose gradient is zero still decays and moves by its momentum; ``keep``: it stays as
            it is, as CoNAS' paper prescribes for operations that were not sampled.
    """

    def __init__(
        self, module: nn.Module, momentum: float, decay: float, nesterov: bool, inactive: Literal["decay", "keep"] = "decay"
    ) -> None:
        parameters = self._parameters = list(module.parameters())
        size = sum(p.numel() for p in parameters)
        self.flat = torch.empty(size, dtype=parameters[0].dtype, device=parameters[0].device)
        self.gradient = torch.zeros_like(self.flat)
        self.buffer = torch.zeros_like(self.flat)
        self.momentum, self.decay, self.nesterov, self.inactive = momentum, decay, nesterov, inactive
        self.frozen: Tensor | None = None
        """bool, flat: values that no step changes. None: all values change."""
        start = 0
        for p in parameters:
            part = slice(start, start + p.numel())
            view = _like(self.flat[part], p)
            view.copy_(p.detach())
            p.data = view
            p.grad = _like(self.gradient[part], p)
            start = part.stop

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Return a context in which passes compute no gradients by the weights, for steps of the architecture alone.

        The last parameter is left out: then a loss that does not depend on the architecture has gradients too, all zero.
        """
        for p in self._parameters[:-1]:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in self._parameters:
                p.requires_grad_()

    def zero(self) -> None:
        """Set the gradients to zero. They are views of the flat tensor, so they must never be None."""
        self.gradient.zero_()

    def clip(self, norm: float, counted: Iterable[Tensor] = ()) -> Tensor:
        """Scale the gradients down to a joint Euclidean norm, and return the factor.

        Args:
            norm: the largest norm.
            counted: further gradients that are part of the norm and are scaled too.
        """
        shared = list(counted)
        parts = [torch.linalg.vector_norm(self.gradient), *(torch.linalg.vector_norm(g) for g in shared)]
        factor: Tensor = (norm / (torch.linalg.vector_norm(torch.stack(parts)) + 1e-6)).clamp(max=1.0)
        for gradient in (self.gradient, *shared):
            gradient.mul_(factor)
        return factor

    def direction(self) -> Tensor:
        """Return the gradient plus weight decay, flat."""
        return torch.add(self.gradient, self.flat, alpha=self.decay)

    def step(self, rate: Number) -> None:
        """Take one step along the present gradients. The result is the same to the bit for a rate in a tensor."""
        with torch.no_grad():
            step = self.direction()
            frozen = self.gradient == 0 if self.inactive == "keep" else self.frozen
            before = None if frozen is None else (self.flat.clone(), self.buffer.clone())
            self.buffer.mul_(self.momentum).add_(step)
            way = step.add_(self.buffer, alpha=self.momentum) if self.nesterov else self.buffer
            if isinstance(rate, Tensor):
                self.flat.addcmul_(way, rate.to(way.dtype), value=-1)
            else:
                self.flat.add_(way, alpha=-rate)
            if before and frozen is not None:
                for value, old in zip((self.flat, self.buffer), before, strict=True):
                    value.copy_(torch.where(frozen, old, value))  # a mask as an index would wait for the device

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.flat, "momentum": self.buffer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.flat.copy_(state["weights"])
            self.buffer.copy_(state["momentum"])


def cosine(epoch: float, epochs: float, start: float, end: float, restart: float = 0.0) -> float:
    """Return the learning rate of an epoch: half a cosine from ``start`` to ``end``, which it reaches after ``epochs`` epochs.

    Args:
        epoch: number of the epoch, from 0, or a moment within one. After ``epochs`` epochs the cosine rises again (ENAS).
        restart: if not 0, the cosine instead restarts every ``epochs`` epochs, each time at this share of its last peak
            (GAEA's release: .5).
    """
    if restart:
        start, epoch = start * restart ** (epoch // epochs), epoch % epochs
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _like(flat: Tensor, parameter: Tensor) -> Tensor:
    """Return a view of ``flat`` in the shape and memory format of ``parameter``."""
    if parameter.dim() == 4 and parameter.is_contiguous(memory_format=torch.channels_last):
        out, inner, height, width = parameter.shape
        return flat.view(out, height, width, inner).permute(0, 3, 1, 2)
    return flat.view(parameter.shape)
