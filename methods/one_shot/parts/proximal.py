"""Sparse group lasso and its accelerated proximal steps: HAPG and AdamHAPG of SparseNAS (arXiv:2009.08966)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.steps import Number, like


def sparse_group_lasso(weights: Tensor, strength: Number, mixture: float, sizes: Sequence[int]) -> Tensor:
    """Return ``strength (mixture |A|_1 + (1 - mixture) sum_n sqrt|n| |A_(n)|_2)`` (SparseNAS, eq. 2), differentiable.

    Args:
        weights: A, of any shape.
        strength: lambda.
        mixture: alpha, the share of the l1 term.
        sizes: lengths of the groups n, consecutive in the flattened weights. A group is all weights that enter a node.
    """
    flat = weights.flatten()
    groups = [math.sqrt(len(group)) * torch.linalg.vector_norm(group) for group in torch.split(flat, list(sizes))]
    return like(strength, flat) * (mixture * flat.abs().sum() + (1 - mixture) * torch.stack(groups).sum())


def soft_threshold(z: Tensor, threshold: Tensor | float) -> Tensor:
    """Move each entry towards 0 by ``threshold``, not beyond (eq. 9): the proximal operator of the absolute value."""
    return z.sign() * (z.abs() - threshold).clamp_min(0.0)


def group_shrink(z: Tensor, threshold: float | Tensor) -> Tensor:
    """Shrink the norm of one group by ``sqrt(len(z)) * threshold``, not below 0 (eq. 10)."""
    norm = torch.linalg.vector_norm(z)
    bound = math.sqrt(len(z)) * threshold
    # a branch in Python would wait for the norm on an accelerator
    return torch.where(norm > bound, 1 - bound / norm, torch.zeros_like(norm)) * z


def hierarchical_prox(z: Tensor, steps: Tensor, strength: Number, mixture: float, sizes: Sequence[int]) -> Tensor:
    """Return the proximal point of the sparse group lasso at the vector ``z``: entries first, then groups (eq. 5).

    Args:
        steps: step size of each entry. That of a group is the median of its entries' (the mean of the middle two). This is
            exact if they are equal, and the paper's heuristic if not.
    """
    entries = torch.split(soft_threshold(z, steps * (strength * mixture)), list(sizes))
    medians = [torch.quantile(group, 0.5) for group in torch.split(steps, list(sizes))]
    of_groups = like(strength * (1 - mixture), steps)
    shrunk = [group_shrink(g, m * of_groups) for g, m in zip(entries, medians, strict=True)]
    return torch.cat(shrunk)


def path_strength(epoch: float, increment: float = 0.01, first: float = 0.01) -> float:
    """Return the strength of an epoch (from 0): it grows by ``increment`` per epoch from ``first`` (D-19)."""
    return first + increment * epoch


class Hapg:
    """Hierarchical accelerated proximal gradient on architecture weights (SparseNAS, eq. 6-8).

    Let ``P_t`` be the proximal point of ``A - rate * gradient``, and ``P_0 = A``. Step t = 1, 2, ... sets
    ``A <- P_t + u_t (P_t - P_{t-1})``, with ``u_t = (t - 2) / (t + 1)``. The difference equals the paper's
    ``v_t = P_t - A + u_{t-1} v_{t-1}``, because the previous step set ``A = P_{t-1} + u_{t-1} v_{t-1}``.

    ``weights`` is A, and ``sparse`` is P. An entry of A is zero only if P was zero twice in a row, so architectures are
    derived from P (D-17).

    Args:
        weights: architecture weights of any shape. They change in place, because the supernet reads them.
        sizes: lengths of the groups in the flattened weights.
        mixture: alpha of the sparse group lasso; 1 is the lasso alone.
        accelerated: False: proximal gradient without momentum (``u = 0``).
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

    def advance(self) -> tuple[float, ...]:
        """Count a step, and return its numbers that differ from step to step: the momentum, and those of the direction."""
        self.steps += 1
        return ((self.steps - 2) / (self.steps + 1) if self.accelerated else 0.0,)

    def step(self, gradient: Tensor, rate: Number, strength: Number, numbers: Sequence[Number] | None = None) -> None:
        """Take one step along the gradient of the loss at ``weights``, with this step size and regularisation.

        Args:
            numbers: what :meth:`advance` returned for this step; None: it is called now.
        """
        momentum, *more = self.advance() if numbers is None else numbers
        with torch.no_grad():
            rates, direction = self._direction(gradient, rate, more)
            z = self.weights - rates * direction
            point = hierarchical_prox(z.flatten(), rates.flatten(), strength, self.mixture, self.sizes).view_as(z)
            self.weights.copy_(point + momentum * (point - self.sparse))
            self.sparse.copy_(point)

    def _direction(self, gradient: Tensor, rate: Number, numbers: Sequence[Number]) -> tuple[Tensor, Tensor]:
        """Return the step size of each entry, and the direction that it multiplies."""
        return torch.ones_like(gradient) * rate, gradient

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

    Both moments are bias-corrected. The paper does not state epsilon.
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

    def advance(self) -> tuple[float, ...]:
        beta1, beta2 = self.betas
        return (*super().advance(), 1 - beta1**self.steps, 1 - beta2**self.steps)

    def _direction(self, gradient: Tensor, rate: Number, numbers: Sequence[Number]) -> tuple[Tensor, Tensor]:
        beta1, beta2 = self.betas
        of_mean, of_square = numbers
        self.mean.mul_(beta1).add_((1 - beta1) * gradient)
        self.square.mul_(beta2).add_((1 - beta2) * gradient**2)
        # the bits of a float over a tensor, for a rate in a tensor too
        return ((self.square / of_square).sqrt() + self.epsilon).reciprocal() * rate, self.mean / of_mean
