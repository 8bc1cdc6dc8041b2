"""Sparse coding of architectures: a short dense vector b stands for a long sparse one z (ISTA-NAS).

For one node with n candidate connections: ``A`` is (p, n), ``b`` is (p,), ``x`` and ``z`` are (n,); all float64.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import lars_path
from torch import Tensor

KKT_TOLERANCE = 1e-6
"""Largest violation of the Lasso's optimality conditions, relative to the penalty, that counts as solved."""


def measurement_matrix(rows: int, candidates: int, generator: torch.Generator) -> Tensor:
    """A: drawn once, entries uniform on [0, 1), neither centred nor normalised, as released (D-11)."""
    return torch.rand(rows, candidates, generator=generator, dtype=torch.float64, device=generator.device)


def recover(matrix: Tensor, b: Tensor, penalty: float = 1e-5) -> Tensor:
    """``argmin_x 1/2 |A x - b|^2 + penalty |x|_1``, exact to rounding, by the homotopy of least angle regression (D-12).

    A hundred iterations of FISTA find the two largest entries of few problems, ten thousand of all that were tried.

    Raises ArithmeticError where the optimality conditions are violated by more than :data:`KKT_TOLERANCE`.
    """
    # in units of the penalty: the solver's absolute tolerances would end the path early for a b near 1e-3
    target = b.detach().double().cpu().numpy() / penalty
    path = lars_path(matrix.cpu().numpy(), target, method="lasso", alpha_min=1 / len(target))[2]
    last = path[:, -1]
    # an entry that leaves the support along the path leaves rounding, of either sign, behind
    x = torch.from_numpy(np.where(np.abs(last) > 1e-12 * np.abs(last).max(), last * penalty, 0.0)).to(matrix)
    violation = kkt_violation(matrix, b, x, penalty)
    if not violation <= KKT_TOLERANCE:
        raise ArithmeticError(f"the Lasso was not solved: its optimality conditions are violated by {violation:.1e} penalties")
    return x


def kkt_violation(matrix: Tensor, b: Tensor, x: Tensor, penalty: float) -> float:
    """By how many penalties ``x`` misses the Lasso's conditions: ``A^T (b - A x)`` is ``penalty sign(x)``, or less at 0."""
    correlation = matrix.T @ (b.detach().to(matrix) - matrix @ x) / penalty
    violation = torch.where(x != 0, (correlation - x.sign()).abs(), (correlation.abs() - 1).clamp_min(0.0))
    return float(violation.max())


def top_support(x: Tensor, size: int = 2) -> Tensor:
    """Positions (ascending) of the ``size`` entries of largest absolute value; of equal ones the earlier."""
    return torch.argsort(x.abs(), descending=True, stable=True)[:size].sort().values


def sparse_weights(matrix: Tensor, b: Tensor, x: Tensor, support: Tensor) -> Tensor:
    """z, zero outside ``support``; there ``x_S + A_S^T (b - A_S x_S)``: one step from x restricted to it, not thresholded.

    Differentiable by ``b`` alone: ``dL/db = A_S dL/dz_S``. ``x`` and ``support`` stay as they are between recoveries.
    """
    columns, kept = matrix[:, support], x[support]
    on_support = kept + columns.T @ (b - columns @ kept)
    return torch.zeros_like(x).index_put((support,), on_support)
