"""Sparse low-degree Fourier expansions of functions of signs, recovered from measurements and minimised exactly (CoNAS).

A code is a row of +1 / -1 values; the parity of a set S of positions is ``chi_S(code) = prod(code[i] for i in S)``. An
expansion is a mapping from monomials (sorted tuples of positions; ``()`` is the constant) to coefficients.
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
"""Positions that one table of patterns may span: 2^26 of them take 512 MB."""


def monomials(positions: Sequence[int]) -> list[Monomial]:
    """The monomials of :func:`parities`' columns, for codes whose columns are these ascending positions."""
    return [monomial for degree in range(3) for monomial in combinations(positions, degree)]


def parities(codes: NDArray[Any]) -> Array:
    """Every parity of degree 0, 1, 2 (CoNAS, eq. 2.2): the constant, then positions, then pairs in lexicographic order.

    Args:
        codes: (m, n), entries +1 or -1.

    Returns:
        (m, 1 + n + n(n-1)/2), float64 in Fortran order, as the Lasso's coordinate descent reads it: by column.
    """
    features: Array = PolynomialFeatures(2, interaction_only=True, order="F").fit_transform(codes.astype(np.float64))
    return features


def lasso(
    features: Array, values: Array, penalty: float, scale: Literal["released", "paper"] = "released", tolerance: float = 1e-8
) -> Array:
    """Coefficients u of the sparse recovery (CoNAS, eq. 2.3). The constant is penalised like the rest, nothing is centred.

    Args:
        features: (m, columns) of :func:`parities`; not changed, not copied.
        values: (m,), the measured losses.
        penalty: ``a`` of the released code's ``1/2 |y - Au|^2 + a |u|_1``, or ``lambda`` of the paper's
            ``|y - Au|^2 + lambda |u|_1``; the same number means half the penalty there (D-07).
        tolerance: of the duality gap, relative to ``|y|^2``.
    """
    if scale not in ("released", "paper"):
        raise ValueError(f"scale is 'released' or 'paper', not {scale!r}")
    # scikit-learn minimises 1/(2m) |y - Au|^2 + alpha |u|_1
    alpha = penalty / len(values) / (2 if scale == "paper" else 1)
    # coefficients are visited in order; the seed only keeps scikit-learn from drawing one from NumPy's global generator
    model = Lasso(alpha=alpha, fit_intercept=False, copy_X=False, tol=tolerance, max_iter=10_000, random_state=0)
    coefficients: Array = model.fit(features, values).coef_
    return coefficients


def largest_terms(
    coefficients: Array, names: Sequence[Monomial], size: int, constant_counts: bool = True
) -> dict[Monomial, float]:
    """The expansion of the ``size`` coefficients largest in absolute value; of equal ones the earlier column.

    Coefficients that are exactly zero are left out even where slots remain: the released code would fill them with
    arbitrary monomials, whose positions the rule for ties then sets to +1.

    Args:
        coefficients: one per column.
        names: :func:`monomials` of the columns.
        constant_counts: whether the constant takes one of the slots, which with losses near 1 it always does (D-08).
    """
    kept: dict[Monomial, float] = {}
    informative = 0
    for column in np.argsort(-np.abs(coefficients), kind="stable"):
        if informative == size or not coefficients[column]:
            break
        kept[names[column]] = float(coefficients[column])
        informative += bool(names[column]) or constant_counts
    return kept


def restrict(expansion: Expansion, frozen: Mapping[int, int]) -> dict[Monomial, float]:
    """The function of the free positions that is left where ``frozen`` positions have the given signs (CoNAS, def. 2.2).

    A monomial's frozen factors fold into its coefficient, so it becomes one of lower degree.
    """
    folded: dict[Monomial, float] = {}
    for monomial, coefficient in expansion.items():
        rest = tuple(i for i in monomial if i not in frozen)
        sign = int(np.prod([frozen[i] for i in monomial if i in frozen]))
        folded[rest] = folded.get(rest, 0.0) + sign * coefficient
    return folded


def evaluate(expansion: Expansion, codes: NDArray[Any]) -> Array:
    """The expansion's value (m,) at each code (m, n)."""
    total = np.zeros(len(codes))
    for monomial, coefficient in expansion.items():
        total += coefficient * codes[:, list(monomial)].prod(axis=1)
    return total


def minimise(expansion: Expansion) -> dict[int, int]:
    """Signs of the expansion's own positions that minimise it exactly, by enumeration.

    Patterns count as integers whose bit 0 means +1 and whose least significant bit is the lowest position; among ties the
    smallest integer wins, so high positions are +1 where they may be. Values within 1e-12 of the sum of the absolute
    coefficients are ties: exact ones differ by rounding. Positions that share no chain of monomials are minimised apart,
    which changes neither the minimum nor, the integer being a sum over them, the choice among ties.

    Raises ValueError where more than ``LARGEST_ENUMERATION`` positions hang together.
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
    """The expansion's positions, in sets that no monomial joins; each set ascending."""
    sets: list[set[int]] = []
    for monomial in expansion:
        if monomial:
            joined = [one for one in sets if one & set(monomial)]
            sets = [one for one in sets if one not in joined] + [set(monomial).union(*joined)]
    return [sorted(one) for one in sets]


def _values(expansion: Expansion, positions: Sequence[int]) -> Array:
    """The expansion at every sign pattern of ascending ``positions``, in the order of :func:`minimise`'s integers.

    Doubling: with one more position v the function is ``rest + v * factor``, both functions of the positions before it.
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
