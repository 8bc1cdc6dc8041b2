"""Sparse low-degree Fourier expansions of functions of signs, recovered from measurements and minimised exactly (CoNAS).

A code is a row of +1 / -1 values. The parity of a set S of positions is ``chi_S(code) = prod(code[i] for i in S)``. An
expansion maps monomials (sorted tuples of positions; ``()`` is the constant) to coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Lasso
from sklearn.preprocessing import PolynomialFeatures

Array = NDArray[np.float64]
Monomial = tuple[int, ...]
Expansion = Mapping[Monomial, float]

LARGEST_ENUMERATION = 26
"""Largest number of positions in one table of patterns: 2^26 values take 512 MB."""


def monomials(positions: Sequence[int]) -> list[Monomial]:
    """Return the monomials of the columns of :func:`parities`, for codes whose columns are these ascending positions."""
    return [monomial for degree in range(3) for monomial in combinations(positions, degree)]


def parities(codes: NDArray[Any]) -> Array:
    """Return all parities of degree 0, 1, 2 (CoNAS, eq. 2.2): the constant, positions, then pairs in lexicographic order.

    Args:
        codes: (m, n), entries +1 or -1.

    Returns:
        (m, 1 + n + n(n-1)/2), float64 in Fortran order, because the Lasso's coordinate descent reads columns.
    """
    features: Array = PolynomialFeatures(2, interaction_only=True, order="F").fit_transform(codes.astype(np.float64))
    return features


def lasso(
    features: Array, values: Array, penalty: float, scale: Literal["released", "paper"] = "released", tolerance: float = 1e-8
) -> Array:
    """Return the coefficients u of the sparse recovery (CoNAS, eq. 2.3).

    The constant is penalised like all other terms, and nothing is centred.

    Args:
        features: (m, columns), from :func:`parities`. It is neither changed nor copied.
        values: (m,), the measured losses.
        penalty: ``a`` of the released code's ``1/2 |y - Au|^2 + a |u|_1``, or ``lambda`` of the paper's
            ``|y - Au|^2 + lambda |u|_1``. The same number is half the penalty in the paper's scale (D-07).
        scale: which of the two.
        tolerance: largest duality gap, relative to ``|y|^2``.
    """
    if scale not in ("released", "paper"):
        raise ValueError(f"scale is 'released' or 'paper', not {scale!r}")
    # scikit-learn minimises 1/(2m) |y - Au|^2 + alpha |u|_1
    alpha = penalty / len(values) / (2 if scale == "paper" else 1)
    # coefficients are visited in order; without a seed scikit-learn draws one from NumPy's global generator
    model = Lasso(alpha=alpha, fit_intercept=False, copy_X=False, tol=tolerance, max_iter=10_000, random_state=0)
    coefficients: Array = model.fit(features, values).coef_
    return coefficients


def largest_terms(
    coefficients: Array, names: Sequence[Monomial], size: int, constant_counts: bool = True
) -> dict[Monomial, float]:
    """Return the expansion of the ``size`` coefficients largest in absolute value, the earlier column of equal ones.

    Coefficients that are exactly zero are left out even if there are fewer than ``size`` others. The released code would
    fill up with arbitrary monomials, whose positions the rule for ties then sets to +1.

    Args:
        coefficients: one per column.
        names: :func:`monomials` of the columns.
        size: number of terms (s).
        constant_counts: the constant counts as one of the terms. With losses near 1 it is always among them (D-08).
    """
    expansion: dict[Monomial, float] = {}
    informative = 0
    for column in np.argsort(-np.abs(coefficients), kind="stable"):
        if informative == size or not coefficients[column]:
            break
        expansion[names[column]] = float(coefficients[column])
        informative += bool(names[column]) or constant_counts
    return expansion


def minimise(expansion: Expansion) -> dict[int, int]:
    """Return the signs of the expansion's positions that minimise it, exactly, by enumeration.

    A pattern is an integer: a bit of 0 is +1, and the least significant bit is the lowest position. Among ties the smallest
    integer wins, so that high positions are +1 if possible. Values within 1e-12 of the sum of the absolute coefficients are
    ties, because exact ties differ by rounding. Positions that no chain of monomials connects are minimised separately. This
    changes neither the minimum nor the choice among ties, because the integer is a sum over them.

    Raises:
        ValueError: more than :data:`LARGEST_ENUMERATION` positions are connected.
    """
    tolerance = 1e-12 * sum(abs(coefficient) for coefficient in expansion.values())
    signs: dict[int, int] = {}
    for positions in _components(expansion):
        if len(positions) > LARGEST_ENUMERATION:
            raise ValueError(f"{len(positions)} positions interact, too many to enumerate; keep fewer terms")
        own = {monomial: c for monomial, c in expansion.items() if monomial and monomial[0] in positions}
        values = _values(own, positions)
        pattern = int(np.argmax(values <= values.min() + tolerance))
        signs.update({position: 1 - 2 * (pattern >> bit & 1) for bit, position in enumerate(positions)})
    return signs


def _components(expansion: Expansion) -> list[list[int]]:
    """Return the positions of the expansion in sets that no monomial connects, each ascending."""
    sets: list[set[int]] = []
    for monomial in expansion:
        if monomial:
            joined = [positions for positions in sets if positions & set(monomial)]
            sets = [positions for positions in sets if positions not in joined] + [set(monomial).union(*joined)]
    return [sorted(positions) for positions in sets]


def _values(expansion: Expansion, positions: Sequence[int]) -> Array:
    """Return the expansion at every sign pattern of ascending ``positions``, in the order of the integers of :func:`minimise`.

    Each further position v doubles the table: the function is ``rest + v * factor``, both functions of the positions before.
    """
    values = np.empty(2 ** len(positions))
    values[0] = expansion.get((), 0.0)
    for bit, last in enumerate(positions):
        factor = {monomial[:-1]: c for monomial, c in expansion.items() if monomial and monomial[-1] == last}
        slope: Array | float = factor.get((), 0.0) if set(factor) <= {()} else _values(factor, positions[:bit])
        plus, minus = values[: 1 << bit], values[1 << bit : 2 << bit]
        np.subtract(plus, slope, out=minus)
        plus += slope
    return values
