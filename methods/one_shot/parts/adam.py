"""Adam for the few numbers of an architecture or a controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


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

    @torch.no_grad()
    def step(self) -> None:
        """Take one step along the gradients of the values."""
        first, second = self.betas
        for k, (value, (mean, square)) in enumerate(zip(self.values, self._moments, strict=True)):
            gradient = value.grad
            if gradient is None:
                continue
            if self.decay:
                gradient = gradient.add(value, alpha=self.decay)
            self._steps[k] += 1
            steps = self._steps[k]
            mean.lerp_(gradient, 1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            root = (square.sqrt() / (1 - second**steps) ** 0.5).add_(self.eps)
            value.addcdiv_(mean, root, value=-self.lr / (1 - first**steps))

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps = list(state["steps"])
        for moments, stored in zip(self._moments, state["moments"], strict=True):
            for moment, value in zip(moments, stored, strict=True):
                moment.copy_(value)
