"""Sparse Fourier recovery: the features are a basis, the Lasso has the stated scale, the minimiser is exact."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from methods.one_shot.parts.fourier import (
    Expansion,
    Monomial,
    largest_terms,
    lasso,
    minimise,
    monomials,
    parities,
)


def cube(n: int) -> np.ndarray:
    """Return every code of n signs; row i has sign -1 where bit j of i is set: the integers of the rule for ties."""
    return 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


def restrict(expansion: Expansion, frozen: dict[int, int]) -> dict[Monomial, float]:
    """Return the function of the free positions if the ``frozen`` positions have these signs (CoNAS, def. 2.2).

    The frozen factors of a monomial fold into its coefficient, so its degree falls.
    """
    folded: dict[Monomial, float] = {}
    for monomial, coefficient in expansion.items():
        rest = tuple(i for i in monomial if i not in frozen)
        sign = int(np.prod([frozen[i] for i in monomial if i in frozen]))
        folded[rest] = folded.get(rest, 0.0) + sign * coefficient
    return folded


def evaluate(expansion: Expansion, codes: np.ndarray) -> np.ndarray:
    """Return the value (m,) of the expansion at each code (m, n)."""
    total = np.zeros(len(codes))
    for monomial, coefficient in expansion.items():
        total += coefficient * codes[:, list(monomial)].prod(axis=1)
    return total


small_terms = st.lists(st.integers(0, 7), max_size=2, unique=True).map(lambda positions: tuple(sorted(positions)))
expansions = st.dictionaries(small_terms, st.integers(-3, 3).map(lambda c: c / 10), max_size=12)


@pytest.mark.parametrize(("n", "columns"), [(196, 19_307), (24, 301)])
def test_the_number_of_columns_of_the_papers_spaces(n: int, columns: int) -> None:
    codes = np.random.default_rng(0).choice([-1, 1], (2, n))
    features = parities(codes)
    assert features.shape == (2, columns)
    assert len(monomials(range(n))) == columns
    assert features.flags.f_contiguous


def test_parities_are_orthogonal_on_the_cube() -> None:
    features = parities(cube(4))
    assert np.array_equal(features.T @ features, 16 * np.eye(11))


def test_columns_are_the_products_their_monomials_name() -> None:
    codes = np.random.default_rng(1).choice([-1, 1], (9, 6))
    products = np.stack([codes[:, list(monomial)].prod(axis=1) for monomial in monomials(range(6))], axis=1)
    assert np.array_equal(parities(codes), products)


@pytest.mark.parametrize(("scale", "weight"), [("released", 0.5), ("paper", 1.0)])
def test_the_lasso_minimises_the_objective_of_its_scale(scale: Literal["released", "paper"], weight: float) -> None:
    """Against a smooth solver on u = plus - minus with both halves nonnegative."""
    rng = np.random.default_rng(2)
    features = parities(rng.choice([-1, 1], (30, 5)))
    values = 1 + 0.3 * features[:, 2] - 0.2 * features[:, 9] + rng.normal(0, 0.1, 30)

    def objective(halves: np.ndarray) -> tuple[float, np.ndarray]:
        plus, minus = np.split(halves, 2)
        residual = values - features @ (plus - minus)
        slope = -2 * weight * features.T @ residual
        return weight * residual @ residual + 5 * halves.sum(), 5 + np.concatenate([slope, -slope])

    start = np.zeros(2 * features.shape[1])
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000}
    plus, minus = np.split(minimize(objective, start, jac=True, bounds=[(0, None)] * len(start), options=options).x, 2)
    np.testing.assert_allclose(lasso(features, values, 5.0, scale), plus - minus, atol=1e-6)


def test_the_released_penalty_is_twice_the_paper_s() -> None:
    """D-07."""
    rng = np.random.default_rng(3)
    features, values = parities(rng.choice([-1, 1], (40, 6))), rng.normal(1, 0.3, 40)
    np.testing.assert_allclose(lasso(features, values, 3.0, "released"), lasso(features, values, 6.0, "paper"), atol=1e-12)
    with pytest.raises(ValueError, match="scale is 'released' or 'paper', not 'mine'"):
        lasso(features, values, 3.0, "mine")  # type: ignore[arg-type]


def test_the_constant_takes_a_slot_or_does_not() -> None:
    """D-08."""
    names = monomials(range(3))  # (), 0, 1, 2, 01, 02, 12
    coefficients = np.array([1.1, 0.1, 0.0, -0.3, 0.1, -0.1, 0.0])
    assert largest_terms(coefficients, names, 3) == {(): 1.1, (2,): -0.3, (0,): 0.1}
    assert largest_terms(coefficients, names, 3, constant_counts=False) == {(): 1.1, (2,): -0.3, (0,): 0.1, (0, 1): 0.1}
    assert len(largest_terms(coefficients, names, 7)) == 5, "zeros are no terms"


@given(expansions)
def test_the_minimiser_is_the_first_of_the_best_patterns(expansion: dict[tuple[int, ...], float]) -> None:
    positions = sorted(set(itertools.chain(*expansion)))
    codes = cube(len(positions))
    renamed = {tuple(positions.index(i) for i in monomial): c for monomial, c in expansion.items()}
    tenths = np.rint(10 * evaluate(renamed, codes)).astype(int)  # coefficients are tenths: ties are exact
    first = codes[np.flatnonzero(tenths == tenths.min())[0]]
    assert minimise(expansion) == dict(zip(positions, first.tolist(), strict=True))


def test_ties_leave_high_positions_on() -> None:
    # both (+1, -1) and (-1, +1) are best; the integer of the second is smaller
    assert minimise({(4, 9): 1.0}) == {4: -1, 9: 1}
    assert minimise({(): 3.0}) == {}


def test_twenty_six_positions_in_pairs_are_no_trouble() -> None:
    """The most that 14 terms with a constant can name; one table of patterns would have 2^26 entries."""
    expansion: dict[tuple[int, ...], float] = {(): 1.0, **{(2 * i, 2 * i + 1): 0.1 for i in range(13)}}
    assert minimise(expansion) == {i: 1 if i % 2 else -1 for i in range(26)}
    with pytest.raises(ValueError, match="27 positions interact"):
        minimise({(i, i + 1): 0.1 for i in range(26)})


@given(expansions, st.dictionaries(st.integers(0, 7), st.sampled_from([-1, 1])))
def test_a_restriction_is_the_function_on_the_subcube(expansion: dict[tuple[int, ...], float], frozen: dict[int, int]) -> None:
    codes = cube(8)
    subcube = codes[[all(code[i] == sign for i, sign in frozen.items()) for code in codes]]
    restricted = restrict(expansion, frozen)
    assert not set(itertools.chain(*restricted)) & set(frozen)
    np.testing.assert_allclose(evaluate(restricted, subcube), evaluate(expansion, subcube), atol=1e-12)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_the_features_of_free_positions_span_the_frozen_ones(seed: int) -> None:
    """A restriction round refits on these columns: nothing that the frozen columns could say is lost."""
    rng = np.random.default_rng(seed)
    frozen = {1: 1, 4: -1, 5: 1}
    free = [i for i in range(8) if i not in frozen]
    codes = rng.choice([-1, 1], (20, 8))
    codes[:, list(frozen)] = list(frozen.values())
    coefficients = rng.normal(size=37)
    folded = restrict(dict(zip(monomials(range(8)), coefficients, strict=True)), frozen)
    assert list(monomials(free)) == sorted(folded, key=lambda monomial: (len(monomial), monomial))
    narrow = np.array([folded[monomial] for monomial in monomials(free)])
    np.testing.assert_allclose(parities(codes[:, free]) @ narrow, parities(codes) @ coefficients, atol=1e-12)


def test_a_sparse_function_is_recovered_from_few_measurements() -> None:
    """CoNAS on NAS-Bench-201's scale: 24 positions, 300 measurements, a few terms."""
    rng = np.random.default_rng(4)
    truth = {(): 1.2, (3,): 0.08, (20,): -0.06, (5, 11): 0.1, (11, 17): -0.09}
    codes = rng.choice([-1, 1], (300, 24))
    values = evaluate(truth, codes) + rng.normal(0, 0.05, 300)
    expansion = largest_terms(lasso(parities(codes), values, 5.0, "paper"), monomials(range(24)), len(truth))
    assert set(expansion) == set(truth)
    assert minimise(expansion) == minimise(truth)
