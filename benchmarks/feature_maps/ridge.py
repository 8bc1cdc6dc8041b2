"""One-vs-all ridge regression with an intercept, in a bounded amount of memory.

Features that fit into :data:`DENSE_BYTES` are fitted by scikit-learn's ``Ridge``. Larger ones (the paper's 100 000 features of
40 000 images are 16 GB) are fitted by the dual system ``(K + alpha I) a = y``, where ``K`` is the centred Gram matrix. It is
computed from blocks of features and solved in place by Cholesky, in 4 n^2 bytes and four blocks for any number of features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

ALPHA: Final = 0.5
SOLVERS: Final = ("lsqr", "cholesky")
"""scikit-learn's names: the paper's iterations, or the exact solution of the smaller system. The tolerance is scikit-learn's
default: 1e-4 today, 1e-3 in the version that the released code requires (D-82)."""
DENSE_BYTES: Final = 1 << 30
"""Largest size of a training set's features that are kept in memory, in bytes."""

Blocks = Callable[[], Iterator[tuple[int, npt.NDArray[np.float32]]]]


class Line(NamedTuple):
    """A fitted linear model: scores are ``features @ weights + intercept``."""

    weights: npt.NDArray[np.floating]
    """Shape (features, outputs)."""
    intercept: npt.NDArray[np.floating]
    """(outputs,)."""
    objective: float
    """The minimum of the minimised function."""


def fit(
    blocks: Blocks, features: int, targets: npt.NDArray[np.float32], solver: str = "lsqr", dense_bytes: int = DENSE_BYTES
) -> Line:
    """Minimise ``|y - X w - b|^2 + alpha |w|^2`` for each column of ``targets`` (N, outputs).

    Args:
        blocks: returns first column and features, float32 (N, width), of each block in order. It is called twice if the
            features do not fit into ``dense_bytes``.
        solver: one of :data:`SOLVERS`, for features that fit into ``dense_bytes``.
        dense_bytes: largest size of features that are kept in memory.
    """
    if 4 * len(targets) * features <= dense_bytes:
        return _primal(blocks, features, targets, solver)
    return _dual(blocks, features, targets)


def _primal(blocks: Blocks, features: int, targets: npt.NDArray[np.float32], solver: str) -> Line:
    from sklearn.linear_model import Ridge

    dense = np.empty((len(targets), features), np.float32)
    for first, block in blocks():
        dense[:, first : first + block.shape[1]] = block
    means, centre = dense.mean(axis=0), targets.mean(axis=0)
    dense -= means  # in place: centring by scikit-learn needs the same memory again
    model = Ridge(alpha=ALPHA, solver=solver, fit_intercept=False, copy_X=False).fit(dense, targets - centre)
    weights = model.coef_.T
    residuals = dense @ weights - (targets - centre)
    return Line(weights, centre - means @ weights, float((residuals**2).sum() + ALPHA * (weights**2).sum()))


def _dual(blocks: Blocks, features: int, targets: npt.NDArray[np.float32]) -> Line:
    from scipy.linalg import cho_factor, cho_solve

    n = len(targets)
    gram = np.zeros((n, n), np.float32, order="F")
    means = np.empty(features, np.float32)
    for first, block in blocks():
        means[first : first + block.shape[1]] = block.mean(axis=0)
        block -= block.mean(axis=0)
        for row in range(0, n, block.shape[1]):  # the complete product would need as much memory again
            gram[row : row + block.shape[1], : row + block.shape[1]] += (
                block[row : row + block.shape[1]] @ block[: row + block.shape[1]].T
            )
    gram.flat[:: n + 1] += np.float32(ALPHA)
    centre = targets.mean(axis=0)
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    duals = cho_solve(factor, targets - centre, check_finite=False).astype(np.float32)
    weights = np.empty((features, targets.shape[1]), np.float32)
    for first, block in blocks():  # the duals sum to zero: centring the block again would change nothing
        weights[first : first + block.shape[1]] = block.T @ duals
    return Line(weights, centre - means @ weights, ALPHA * float((duals * (targets - centre)).sum()))
