"""Sparse coding of architectures: a short dense vector b encodes a long sparse vector z (ISTA-NAS, arXiv:2010.06176).

For a node with n candidate connections, ``A`` is (p, n), ``b`` is (p,), ``x`` and ``z`` are (n,), all float64.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import lars_path
from torch import Tensor

KKT_TOLERANCE = 1e-6
"""A Lasso is solved if its optimality conditions are violated by no more than this, relative to the penalty."""


def measurement_matrix(rows: int, candidates: int, generator: torch.Generator) -> Tensor:
    """Draw A: entries uniform on [0, 1), neither centred nor normalised, as in the released code (D-11)."""
    return torch.rand(rows, candidates, generator=generator, dtype=torch.float64, device=generator.device)


def recover(matrix: Tensor, b: Tensor, penalty: float = 1e-5) -> Tensor:
    """Return ``argmin_x 1/2 |A x - b|^2 + penalty |x|_1``, exact to rounding, by the homotopy of least angle regression (D-12).

    A hundred iterations of FISTA find the two largest entries in few cases; ten thousand found them in all that were tried.

    Raises:
        ArithmeticError: the optimality conditions are violated by more than :data:`KKT_TOLERANCE`.
    """
    # in units of the penalty, because the solver's absolute tolerances would end the path early for a b near 1e-3
    target = b.detach().double().cpu().numpy() / penalty
    path = lars_path(matrix.cpu().numpy(), target, method="lasso", alpha_min=1 / len(target))[2]
    last = path[:, -1]
    # an entry that has left the support along the path is not exactly zero
    x = torch.from_numpy(np.where(np.abs(last) > 1e-12 * np.abs(last).max(), last * penalty, 0.0)).to(matrix)
    violation = kkt_violation(matrix, b, x, penalty)
    if not violation <= KKT_TOLERANCE:
        raise ArithmeticError(f"the Lasso was not solved: its optimality conditions are violated by {violation:.1e} penalties")
    return x


def kkt_violation(matrix: Tensor, b: Tensor, x: Tensor, penalty: float) -> float:
    """Return by how many penalties ``x`` violates the Lasso's conditions.

    ``A^T (b - A x)`` must be ``penalty sign(x)`` where ``x`` is not 0, and at most ``penalty`` in absolute value where it is.
    """
    correlation = matrix.T @ (b.detach().to(matrix) - matrix @ x) / penalty
    violation = torch.where(x != 0, (correlation - x.sign()).abs(), (correlation.abs() - 1).clamp_min(0.0))
    return float(violation.max())


def sparse_weights(matrix: Tensor, b: Tensor, x: Tensor, support: Tensor) -> Tensor:
    """Return z: zero outside ``support``, and ``x_S + A_S^T (b - A_S x_S)`` on it.

    That is one step from x restricted to the support, without threshold. It is differentiable by ``b`` only:
    ``dL/db = A_S dL/dz_S``. ``x`` and ``support`` are constant between recoveries.
    """
    columns, entries = matrix[:, support], x[support]
    on_support = entries + columns.T @ (b - columns @ entries)
    return torch.zeros_like(x).index_put((support,), on_support)
