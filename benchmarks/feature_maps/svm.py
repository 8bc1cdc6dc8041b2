"""The linear support vector machine of the paper: scikit-learn's LinearSVC, dual, C = 1, tolerance 1e-5."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Plane(NamedTuple):
    """A fitted model: scores are ``features @ weights + intercept``."""

    weights: npt.NDArray[np.float64]
    intercept: float
    objective: float
    """``(|w|^2 + b^2) / 2 + C * sum of losses``, at the solution."""


def fit(features: Any, signs: npt.NDArray[np.float64], loss: str, seed: int) -> Plane:
    """Fit sparse ``features`` (N, columns) to ``signs`` (N,), 1 and -1.

    ``loss`` is ``hinge`` or ``squared_hinge`` (D-36). Like the released code, the solver stops after 1 000 passes if it has
    not converged.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    model = LinearSVC(loss=loss, dual=True, C=1.0, tol=1e-5, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, signs)
    weights, intercept = model.coef_[0], float(model.intercept_[0])
    remaining = losses(features @ weights + intercept, signs, loss)
    return Plane(weights, intercept, float((weights @ weights + intercept**2) / 2 + remaining.sum()))


def losses(scores: npt.NDArray[np.float64], signs: npt.NDArray[np.float64], loss: str) -> npt.NDArray[np.float64]:
    """Return the loss of each point."""
    below: npt.NDArray[np.float64] = np.maximum(0.0, 1.0 - signs * scores)
    return below if loss == "hinge" else below**2
