"""One-vs-all ridge regression with an intercept, in a bounded amount of memory.

scikit-learn's ``Ridge`` where the features fit into :data:`DENSE_BYTES`. Elsewhere (the paper's 100 000 features of 40 000
images are 16 GB) the dual system ``(K + alpha I) a = y`` with ``K`` the centred Gram matrix, made of blocks of features and
solved in place by Cholesky: 4 n^2 bytes and four blocks, whatever the number of features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

ALPHA: Final = 0.5
SOLVERS: Final = ("lsqr", "cholesky")
"""scikit-learn's names: the paper's iterations, to a tolerance of 1e-4, or the exact solution of the smaller system."""
DENSE_BYTES: Final = 1 << 30
"""Features of a training set are held at once up to this size."""

Matrix = npt.NDArray[np.float32]
Blocks = Callable[[], Iterator[tuple[int, Matrix]]]


class Line(NamedTuple):
    """A fitted linear model: scores are ``features @ weights + intercept``."""

    weights: npt.NDArray[np.floating]
    """(features, outputs)."""
    intercept: npt.NDArray[np.floating]
    """(outputs,)."""
    objective: float
    """What was minimised, at its minimum."""


def fit(blocks: Blocks, features: int, targets: Matrix, solver: str = "lsqr", dense_bytes: int = DENSE_BYTES) -> Line:
    """Minimises ``|y - X w - b|^2 + alpha |w|^2`` for each column of ``targets`` (N, outputs).

    Args:
        blocks: makes (first column, float32 (N, width)) of the features, in order; called twice where they are not held.
        solver: one of :data:`SOLVERS`, of features that are held.
        dense_bytes: the features are held at once up to this size.
    """
    if 4 * len(targets) * features <= dense_bytes:
        return _held(blocks, features, targets, solver)
    return _dual(blocks, features, targets)


def _held(blocks: Blocks, features: int, targets: Matrix, solver: str) -> Line:
    from sklearn.linear_model import Ridge

    whole = np.empty((len(targets), features), np.float32)
    for first, block in blocks():
        whole[:, first : first + block.shape[1]] = block
    means, centre = whole.mean(axis=0), targets.mean(axis=0)
    whole -= means  # in place: scikit-learn's own centring would need as much memory again
    model = Ridge(alpha=ALPHA, solver=solver, fit_intercept=False, copy_X=False).fit(whole, targets - centre)
    weights = model.coef_.T
    rest = whole @ weights - (targets - centre)
    return Line(weights, centre - means @ weights, float((rest**2).sum() + ALPHA * (weights**2).sum()))


def _dual(blocks: Blocks, features: int, targets: Matrix) -> Line:
    from scipy.linalg import cho_factor, cho_solve

    n = len(targets)
    gram = np.zeros((n, n), np.float32, order="F")
    means = np.empty(features, np.float32)
    for first, block in blocks():
        means[first : first + block.shape[1]] = block.mean(axis=0)
        block -= block.mean(axis=0)
        for row in range(0, n, block.shape[1]):  # a product of the whole would need as much memory again
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
