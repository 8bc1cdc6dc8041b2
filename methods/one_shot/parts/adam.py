"""Adam for the few numbers of an architecture or a controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.steps import Number


class AdamSteps:
    """Adam, equal to ``torch.optim.Adam`` to the bit, whose first instance imports a compiler for a second and a half.

    Args:
        values: leaves, which change in place. A step leaves out those whose gradient is None.
        lr: step size.
        betas: decay rates of the two moments.
        eps: added to the root of the second moment.
        decay: L2 penalty.
    """

    def __init__(
        self,
        values: Sequence[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        decay: float = 0.0,
    ) -> None:
        self.values, self.lr, self.betas, self.eps, self.decay = list(values), lr, betas, eps, decay
        self._steps = [0] * len(self.values)
        self._moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in self.values]

    def advance(self, moves: Sequence[bool] | None = None) -> list[tuple[float, float]]:
        """Count a step, and return the size of the step of each value and the correction of its second moment's root.

        Args:
            moves: for each value, whether it takes the step; None: the values with a gradient.
        """
        first, second = self.betas
        numbers = []
        for k, moving in enumerate(moves if moves is not None else [value.grad is not None for value in self.values]):
            self._steps[k] += moving
            steps = max(self._steps[k], 1)
            numbers.append((self.lr / (1 - first**steps), (1 - second**steps) ** 0.5))
        return numbers

    @torch.no_grad()
    def step(self, numbers: Sequence[tuple[Number, Number]] | None = None) -> None:
        """Take one step along the gradients of the values.

        Args:
            numbers: what :meth:`advance` returned for this step; None: it is called now.
        """
        first, second = self.betas
        ahead = self.advance() if numbers is None else numbers
        for value, (mean, square), (size, correction) in zip(self.values, self._moments, ahead, strict=True):
            gradient = value.grad
            if gradient is None:
                continue
            if self.decay:
                gradient = gradient.add(value, alpha=self.decay)
            mean.lerp_(gradient, 1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            root = (square.sqrt() / correction).add_(self.eps)
            value.sub_(mean * size / root)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps = list(state["steps"])
        for moments, stored in zip(self._moments, state["moments"], strict=True):
            for moment, value in zip(moments, stored, strict=True):
                moment.copy_(value)


def set_gradient(value: Tensor, gradient: Tensor) -> None:
    """Set the gradient of a value. It stays the same tensor, which a recorded step goes on using."""
    if value.grad is None:
        value.grad = gradient
    else:
        value.grad.copy_(gradient)
