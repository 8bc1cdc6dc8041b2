"""ISTA-NAS' sparse code: the Lasso's exact support, and weights that pass gradients to b."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso
from torch import Tensor

from methods.one_shot.parts.sparse_coding import (
    KKT_TOLERANCE,
    kkt_violation,
    measurement_matrix,
    recover,
    sparse_weights,
)

ROWS, CANDIDATES, PENALTY = 7, (14, 21, 28, 35), 1e-5
"""The DARTS space: p = 7, and the candidates of its four nodes."""


def top_support(x: Tensor, size: int = 2) -> Tensor:
    """Return the positions (ascending) of the ``size`` entries of largest absolute value, the earlier of equal ones."""
    return torch.argsort(x.abs(), descending=True, stable=True)[:size].sort().values


def problem(seed: int, candidates: int, scale: float = 1e-3) -> tuple[Tensor, Tensor]:
    """A and b as a search starts with them."""
    generator = torch.Generator().manual_seed(seed)
    matrix = measurement_matrix(ROWS, candidates, generator)
    return matrix, scale * torch.randn(ROWS, generator=generator, dtype=torch.float64)


def fista(matrix: Tensor, b: Tensor, iterations: int) -> Tensor:
    """Beck and Teboulle's accelerated iterative thresholding, the algorithm that the method is named after."""
    a, y = matrix.numpy(), b.numpy()
    gram, correlation = a.T @ a, a.T @ y
    step = 1 / np.linalg.eigvalsh(gram)[-1]
    x = ahead = np.zeros(a.shape[1])
    t = 1.0
    for _ in range(iterations):
        z = ahead - step * (gram @ ahead - correlation)
        new = np.sign(z) * np.maximum(np.abs(z) - step * PENALTY, 0)
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead = new + (t - 1) / t_new * (new - x)
        x, t = new, t_new
    return torch.from_numpy(x)


def test_the_matrix_is_uniform_on_the_unit_interval() -> None:
    matrix = measurement_matrix(200, 200, torch.Generator().manual_seed(0))
    assert matrix.dtype == torch.float64
    assert matrix.min() >= 0 and matrix.max() < 1
    assert float(matrix.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(matrix.var()) == pytest.approx(1 / 12, abs=0.005)
    assert torch.equal(matrix, measurement_matrix(200, 200, torch.Generator().manual_seed(0)))


@given(st.integers(0, 2**32), st.sampled_from(CANDIDATES), st.sampled_from([1e-5, 1e-4, 1e-3, 1e-2, 1.0]))
def test_recovery_satisfies_the_optimality_conditions(seed: int, candidates: int, scale: float) -> None:
    matrix, b = problem(seed, candidates, scale)
    assert kkt_violation(matrix, b, recover(matrix, b), PENALTY) <= KKT_TOLERANCE


def test_entries_that_leave_the_path_are_zero() -> None:
    """Seeds whose path drops an entry near its end: the solver leaves 1e-17 of it, of the wrong sign, behind."""
    for seed in range(300):
        matrix, b = problem(seed, 14, 1e-4)
        x = recover(matrix, b)
        assert not ((x != 0) & (x.abs() < 1e-12 * x.abs().max())).any()


@pytest.mark.parametrize("candidates", CANDIDATES)
def test_long_thresholding_and_coordinate_descent_agree(candidates: int) -> None:
    matrix, b = problem(candidates, candidates)
    x = recover(matrix, b)
    model = Lasso(alpha=PENALTY / ROWS, fit_intercept=False, tol=1e-14, max_iter=1_000_000)
    descended = torch.from_numpy(model.fit(np.asfortranarray(matrix.numpy()), b.numpy()).coef_)
    torch.testing.assert_close(x, descended, rtol=1e-6, atol=1e-12)
    assert torch.equal(top_support(fista(matrix, b, 20_000)), top_support(x))


def test_short_thresholding_does_not_find_the_support() -> None:
    """Why the Lasso is solved and not iterated towards (D-12)."""
    wrong = 0
    for candidates in CANDIDATES:
        matrix, b = problem(candidates, candidates)
        wrong += not torch.equal(top_support(fista(matrix, b, 100)), top_support(recover(matrix, b)))
    assert wrong > 0


def test_a_vector_below_the_penalty_has_the_empty_code() -> None:
    matrix, b = problem(0, 35, 1e-8)
    assert recover(matrix, b).count_nonzero() == 0
    assert recover(matrix, torch.zeros_like(b)).count_nonzero() == 0
    assert top_support(recover(matrix, b)).tolist() == [0, 1], "of equal ones the earlier"


def test_a_wrong_solution_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, b = problem(0, 14)
    x = recover(matrix, b)
    assert kkt_violation(matrix, b, 1.01 * x, PENALTY) > 1
    monkeypatch.setattr("methods.one_shot.parts.sparse_coding.lars_path", lambda *_, **__: (0, 0, np.ones((14, 1))))
    with pytest.raises(ArithmeticError, match="the Lasso was not solved"):
        recover(matrix, b)


def test_the_support_is_the_largest_magnitudes() -> None:
    assert top_support(torch.tensor([0.1, -3.0, 0.0, 2.0, 2.0])).tolist() == [1, 3]
    assert top_support(torch.tensor([0.1, -3.0, 0.0, 2.0, 2.0]), 3).tolist() == [1, 3, 4]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(CANDIDATES))
def test_the_two_formulas_of_the_weights_are_one(seed: int, candidates: int) -> None:
    """x + A^T (b - A x) = A^T b - (A^T A - I) x, on the support; nothing outside it."""
    matrix, b = problem(seed, candidates)
    x = recover(matrix, b)
    support = top_support(x)
    z = sparse_weights(matrix, b, x, support)
    columns, entries = matrix[:, support], x[support]
    expected = columns.T @ b - (columns.T @ columns - torch.eye(2, dtype=torch.float64)) @ entries
    torch.testing.assert_close(z[support], expected)
    assert torch.equal(z.nonzero().flatten(), support)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from(CANDIDATES))
def test_the_gradient_of_b(seed: int, candidates: int) -> None:
    """dL/db = A_S dL/dz_S, and finite differences agree."""
    matrix, start = problem(seed, candidates)
    x = recover(matrix, start)
    support = top_support(x)
    b = start.clone().requires_grad_()

    def loss(b: Tensor) -> Tensor:
        return (1000 * sparse_weights(matrix, b, x, support)).sin().sum()

    loss(b).backward()
    z = sparse_weights(matrix, start, x, support)[support]
    torch.testing.assert_close(b.grad, matrix[:, support] @ (1000 * torch.cos(1000 * z)))
    torch.autograd.gradcheck(loss, (b,), eps=1e-8)
