"""Sparse group lasso and its accelerated proximal steps: HAPG and AdamHAPG of SparseNAS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sparse_group_lasso(weights: Tensor, strength: float, mixture: float, sizes: Sequence[int]) -> Tensor:
    """``strength (mixture |A|_1 + (1 - mixture) sum_n sqrt|n| |A_(n)|_2)`` (SparseNAS, eq. 2), differentiable.

    ``sizes`` are the lengths of the groups n, consecutive in the flattened weights: all weights that enter a node.
    """
    flat = weights.flatten()
    groups = [math.sqrt(len(group)) * torch.linalg.vector_norm(group) for group in torch.split(flat, list(sizes))]
    return strength * (mixture * flat.abs().sum() + (1 - mixture) * torch.stack(groups).sum())


def soft_threshold(z: Tensor, threshold: Tensor | float) -> Tensor:
    """Each entry moved towards 0 by ``threshold``, not beyond (eq. 9): the proximal operator of the absolute value."""
    return z.sign() * (z.abs() - threshold).clamp_min(0.0)


def group_shrink(z: Tensor, threshold: float | Tensor) -> Tensor:
    """One group moved towards 0 in norm by ``sqrt(len(z)) * threshold``, not beyond (eq. 10)."""
    norm = torch.linalg.vector_norm(z)
    bound = math.sqrt(len(z)) * threshold
    # no branch in Python: on an accelerator it would wait for the norm
    return torch.where(norm > bound, 1 - bound / norm, torch.zeros_like(norm)) * z


def hierarchical_prox(z: Tensor, steps: Tensor, strength: float, mixture: float, sizes: Sequence[int]) -> Tensor:
    """Proximal operator of the sparse group lasso at the vector ``z``: entries first, then groups (eq. 5; the order matters).

    Args:
        steps: step size of each entry; a group's is the median of its own (the mean of the middle two), which is exact
            where they are equal, and the paper's heuristic where they are not.
    """
    entries = torch.split(soft_threshold(z, steps * (strength * mixture)), list(sizes))
    medians = [torch.quantile(group, 0.5) for group in torch.split(steps, list(sizes))]
    shrunk = [group_shrink(g, m * (strength * (1 - mixture))) for g, m in zip(entries, medians, strict=True)]
    return torch.cat(shrunk)


def path_strength(epoch: int, increment: float = 0.01, first: float = 0.01) -> float:
    """The regularisation path: strength grows by ``increment`` each epoch, counted from 0 (D-19: whether from 0 is unsaid)."""
    return first + increment * epoch


class Hapg:
    """Hierarchical accelerated proximal gradient on architecture weights (SparseNAS, eq. 6-8).

    With ``P_t`` the proximal point of ``A - rate * gradient``, step t = 1, 2, ... sets ``A <- P_t + u_t (P_t - P_{t-1})``,
    ``u_t = (t - 2) / (t + 1)``, ``P_0 = A``. The difference is the paper's ``v_t = P_t - A + u_{t-1} v_{t-1}``: of A, as
    the step before left it, ``P_{t-1}`` remains.

    ``weights`` is A: the given tensor, changed in place, for the supernet reads it. ``sparse`` is P: an entry of A is zero
    only where P was zero twice in a row, so what is derived is derived from P (D-17).

    Args:
        weights: architecture weights of any shape.
        sizes: lengths of the groups in the flattened weights.
        mixture: alpha of the sparse group lasso, 1 for the lasso alone.
        accelerated: False keeps ``u`` at 0: proximal gradient without momentum.
    """

    _tensors: tuple[str, ...] = ("weights", "sparse")

    def __init__(self, weights: Tensor, sizes: Sequence[int], mixture: float = 0.5, accelerated: bool = True) -> None:
        if sum(sizes) != weights.numel():
            raise ValueError(f"groups of {sum(sizes)} entries in all do not divide {weights.numel()} weights")
        if not 0 <= mixture <= 1:
            raise ValueError(f"mixture is between 0 and 1, not {mixture}")
        self.weights, self.sizes, self.mixture, self.accelerated = weights, tuple(sizes), mixture, accelerated
        self.steps = 0
        self.sparse = weights.detach().clone()

    def step(self, gradient: Tensor, rate: float, strength: float) -> None:
        """One step along the gradient of the loss at ``weights``, with this epoch's step size and regularisation."""
        with torch.no_grad():
            self.steps += 1
            rates, direction = self._direction(gradient, rate)
            z = self.weights - rates * direction
            point = hierarchical_prox(z.flatten(), rates.flatten(), strength, self.mixture, self.sizes).view_as(z)
            momentum = (self.steps - 2) / (self.steps + 1) if self.accelerated else 0.0
            self.weights.copy_(point + momentum * (point - self.sparse))
            self.sparse = point

    def _direction(self, gradient: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """Step size of each entry, and what it multiplies."""
        return torch.full_like(gradient, rate), gradient

    def state_dict(self) -> dict[str, Any]:
        tensors = {name: getattr(self, name).detach().clone() for name in self._tensors}
        return {"steps": self.steps, **tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        with torch.no_grad():
            for name in self._tensors:
                getattr(self, name).copy_(state[name])


class AdamHapg(Hapg):
    """:class:`Hapg` whose gradient step is Adam's: step ``rate / (sqrt v + epsilon)`` per entry along the first moment.

    Both moments are bias-corrected; the paper does not state epsilon.
    """

    _tensors = (*Hapg._tensors, "mean", "square")

    def __init__(
        self,
        weights: Tensor,
        sizes: Sequence[int],
        mixture: float = 0.5,
        accelerated: bool = True,
        betas: tuple[float, float] = (0.5, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(weights, sizes, mixture, accelerated)
        self.betas, self.epsilon = betas, epsilon
        self.mean, self.square = torch.zeros_like(self.sparse), torch.zeros_like(self.sparse)

    def _direction(self, gradient: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        beta1, beta2 = self.betas
        self.mean = beta1 * self.mean + (1 - beta1) * gradient
        self.square = beta2 * self.square + (1 - beta2) * gradient**2
        second = self.square / (1 - beta2**self.steps)
        return rate / (second.sqrt() + self.epsilon), self.mean / (1 - beta1**self.steps)
