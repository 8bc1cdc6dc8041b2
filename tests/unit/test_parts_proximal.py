"""HAPG: the proximal operator is the sparse group lasso's, and the steps reduce to what they generalise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from methods.one_shot.parts.proximal import (
    AdamHapg,
    Hapg,
    group_shrink,
    hierarchical_prox,
    path_strength,
    soft_threshold,
    sparse_group_lasso,
)
from methods.one_shot.parts.sgd import cosine

SIZES = (2, 1, 3)
values = st.floats(-3, 3)
vectors = st.lists(values, min_size=6, max_size=6).map(lambda entries: torch.tensor(entries, dtype=torch.float64))
strengths, mixtures, rates = st.floats(0, 2), st.floats(0, 1), st.floats(0.01, 2)


def prox(z: Tensor, rate: float, strength: float, mixture: float) -> Tensor:
    return hierarchical_prox(z, torch.full_like(z, rate), strength, mixture, SIZES)


def moreau(x: Tensor, z: Tensor, rate: float, strength: float, mixture: float) -> float:
    """What the proximal point of ``z`` minimises over x."""
    return float(0.5 * (x - z).square().sum() + rate * sparse_group_lasso(x, strength, mixture, SIZES))


@given(vectors, vectors, rates, strengths, mixtures)
def test_nothing_is_below_the_proximal_point(z: Tensor, x: Tensor, rate: float, strength: float, mixture: float) -> None:
    """The objective is 1-strongly convex: from its minimiser alone it grows by half the squared distance or more."""
    point = prox(z, rate, strength, mixture)
    gap = moreau(x, z, rate, strength, mixture) - moreau(point, z, rate, strength, mixture)
    assert gap >= 0.5 * float((x - point).square().sum()) - 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_the_proximal_point_is_what_a_numerical_search_finds(seed: int) -> None:
    z = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    point = prox(z, 0.5, 0.6, 0.5)
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000, "adaptive": True}
    result = minimize(lambda x: moreau(torch.from_numpy(x), z, 0.5, 0.6, 0.5), z.numpy(), method="Nelder-Mead", options=options)
    assert result.fun == pytest.approx(moreau(point, z, 0.5, 0.6, 0.5), abs=1e-6)
    torch.testing.assert_close(torch.from_numpy(result.x), point, atol=1e-3, rtol=0)


def test_the_order_matters() -> None:
    """Groups first and entries second is another point, and a worse one."""
    z = torch.tensor([3.0, 0.5], dtype=torch.float64)
    right = group_shrink(soft_threshold(z, 0.4), 0.4)
    wrong = soft_threshold(group_shrink(z, 0.4), 0.4)

    def objective(x: Tensor) -> float:
        return float(0.5 * (x - z).square().sum() + sparse_group_lasso(x, 0.8, 0.5, (2,)))

    assert objective(right) < objective(wrong) - 1e-4


def test_entries_and_groups_become_exactly_zero() -> None:
    z = torch.tensor([0.1, -0.2, 2.0, 0.3, -3.0, 0.01], dtype=torch.float64)
    point = prox(z, 1.0, 0.4, 0.5)
    assert point[:2].count_nonzero() == 0, "a group"
    assert point[5] == 0 and point[4] < 0, "an entry within a group that stays"
    assert prox(torch.zeros(6, dtype=torch.float64), 0.0, 0.0, 0.5).count_nonzero() == 0


def test_a_group_steps_by_the_median_of_its_steps() -> None:
    z = torch.tensor([1.0, 2.0, 2.0, 4.0], dtype=torch.float64)
    steps = torch.tensor([9.0, 1.0, 2.0, 0.0], dtype=torch.float64)
    bound = 2 * 0.3 * 1.5  # sqrt(4) * strength * median
    assert torch.allclose(hierarchical_prox(z, steps, 0.3, 0.0, (4,)), (1 - bound / 5) * z)


def quadratic(weights: Tensor) -> Tensor:
    """The gradient of a loss with its minimum at (1, -1, 0, ...)."""
    target = torch.zeros_like(weights)
    target.view(-1)[:2] = torch.tensor([1.0, -1.0], dtype=weights.dtype)
    return (weights - target) * torch.linspace(0.5, 2, weights.numel(), dtype=weights.dtype).view_as(weights)


def start(shape: tuple[int, ...] = (2, 3)) -> Tensor:
    return torch.full(shape, 1 / 7, dtype=torch.float64)


def test_three_steps_by_hand() -> None:
    """u_1 = -1/2, u_2 = 0, u_3 = 1/4, on one unregularised weight under gradients 1, 1, 1 with step 0.1."""
    weights = torch.zeros(1, dtype=torch.float64)
    optimiser = Hapg(weights, (1,))
    seen = []
    for _ in range(3):
        optimiser.step(torch.ones(1, dtype=torch.float64), 0.1, 0.0)
        seen.append((float(optimiser.sparse), float(weights)))
    # v = -.1, A = -.1 + .05;  v = -.1 + .05 = -.05, A = P;  v = -.1, A = -.25 - .025
    torch.testing.assert_close(torch.tensor(seen), torch.tensor([(-0.1, -0.05), (-0.15, -0.15), (-0.25, -0.275)]))


def test_steps_are_those_of_the_printed_equations() -> None:
    """Eq. 6-8 with their v, which the implementation does not keep."""
    weights, printed, velocity = start(), start(), torch.zeros(2, 3, dtype=torch.float64)
    optimiser = Hapg(weights, SIZES)
    for t in range(1, 50):
        optimiser.step(quadratic(weights), 0.1, 0.2)
        point = prox((printed - 0.1 * quadratic(printed)).flatten(), 0.1, 0.2, 0.5).view(2, 3)
        velocity = point - printed + (t - 3) / t * velocity
        printed = point + (t - 2) / (t + 1) * velocity
        torch.testing.assert_close(weights, printed, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(optimiser.sparse, point, rtol=1e-12, atol=1e-12)


def test_without_regularisation_and_momentum_it_is_gradient_descent() -> None:
    ours, expected = start(), start().requires_grad_()
    optimiser, reference = Hapg(ours, SIZES, accelerated=False), torch.optim.SGD([expected], lr=0.05)
    for _ in range(30):
        optimiser.step(quadratic(ours), 0.05, 0.0)
        expected.grad = quadratic(expected.detach())
        reference.step()
    torch.testing.assert_close(ours, expected.detach())


def test_without_regularisation_and_momentum_it_is_adam() -> None:
    ours, expected = start(), start().requires_grad_()
    optimiser = AdamHapg(ours, SIZES, accelerated=False)
    reference = torch.optim.Adam([expected], lr=0.03, betas=(0.5, 0.999))
    for _ in range(30):
        optimiser.step(quadratic(ours), 0.03, 0.0)
        expected.grad = quadratic(expected.detach())
        reference.step()
    torch.testing.assert_close(ours, expected.detach())


def test_with_a_constant_second_moment_it_is_hapg() -> None:
    """Gradients of one magnitude c keep the second moment at c^2: every step size is rate / (c + epsilon)."""
    signs = torch.randn(40, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sign()
    adam, plain = start(), start()
    with_adam, without = AdamHapg(adam, SIZES, betas=(0.0, 0.999)), Hapg(plain, SIZES)
    for sign in signs:
        with_adam.step(0.2 * sign, 0.01, 0.3)
        without.step(0.2 * sign, 0.01 / (0.2 + 1e-8), 0.3)
    torch.testing.assert_close(adam, plain)
    assert torch.equal(with_adam.sparse == 0, without.sparse == 0)


def test_the_weights_are_zero_a_step_later_than_their_proximal_point() -> None:
    """D-17: on a noisy loss the weights have fewer zeros, each where the point was zero twice in a row."""
    generator = torch.Generator().manual_seed(1)
    weights = start()
    optimiser = Hapg(weights, SIZES)
    in_points = in_weights = 0
    for _ in range(300):
        before = optimiser.sparse == 0
        noise = 0.1 * torch.randn(2, 3, generator=generator, dtype=torch.float64)
        optimiser.step(quadratic(weights) + noise, 0.02, 0.1)
        zeros = optimiser.sparse == 0
        assert torch.equal(weights == 0, zeros & before) or optimiser.steps == 2, "u_2 is 0"
        in_points, in_weights = in_points + int(zeros.sum()), in_weights + int((weights == 0).sum())
    assert in_points > in_weights > 0


@pytest.mark.parametrize("kind", [Hapg, AdamHapg])
def test_a_restored_state_goes_on_as_if_never_interrupted(kind: type[Hapg]) -> None:
    weights, resumed = start(), torch.zeros(2, 3, dtype=torch.float64)
    optimiser = kind(weights, SIZES)
    for _ in range(7):
        optimiser.step(quadratic(weights), 0.05, 0.02)
    state = optimiser.state_dict()
    again = kind(resumed, SIZES)
    again.load_state_dict(state)
    for _ in range(7):
        optimiser.step(quadratic(weights), 0.05, 0.02)
        again.step(quadratic(resumed), 0.05, 0.02)
    assert torch.equal(weights, resumed)
    assert torch.equal(optimiser.sparse, again.sparse)


def test_the_tensor_given_is_the_one_that_moves() -> None:
    weights = start().requires_grad_()
    Hapg(weights, SIZES).step(torch.ones(2, 3, dtype=torch.float64), 0.1, 0.0)
    assert not torch.equal(weights.detach(), start())


@given(vectors)
def test_the_norm_is_the_lasso_s_the_group_lasso_s_or_between(x: Tensor) -> None:
    lasso, groups = (float(sparse_group_lasso(x, 0.7, mixture, SIZES)) for mixture in (1.0, 0.0))
    assert lasso == pytest.approx(0.7 * float(x.abs().sum()))
    root = [math.sqrt(float(part.square().sum()) * len(part)) for part in torch.split(x, list(SIZES))]
    assert groups == pytest.approx(0.7 * sum(root))
    assert float(sparse_group_lasso(x, 0.7, 0.5, SIZES)) == pytest.approx((lasso + groups) / 2)


def test_the_path_grows_each_epoch() -> None:
    """D-19."""
    assert [path_strength(epoch) for epoch in (0, 1, 49)] == pytest.approx([0.01, 0.02, 0.5])
    assert path_strength(0, 0.03, first=0.0) == 0.0


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 6 entries in all do not divide 8 weights"):
        Hapg(start((2, 4)), SIZES)
    with pytest.raises(ValueError, match="mixture"):
        Hapg(start(), SIZES, mixture=1.5)


def steps_until_empty(accelerated: bool) -> tuple[int, float]:
    """Return the steps after which a cell of the DARTS space has no weight if the loss resists none, and the sum of rate λ α.

    The search of the paper: 391 steps an epoch, rate .025 with a cosine over 50 epochs, λ = .01 in the first epoch and .01 more
    in each (D-19), weights of 1/7 on two to five edges with seven operations.
    """
    weights = torch.full((98,), 1 / 7, dtype=torch.float64)
    optimiser = Hapg(weights, (14, 21, 28, 35), 0.5, accelerated)
    total, empty = 0.0, 0
    for step in range(50 * 391):
        rate, strength = cosine(step // 391, 50, 0.025, 0.0), path_strength(step // 391)
        total += rate * strength * 0.5
        if not empty:
            optimiser.step(torch.zeros_like(weights), rate, strength)
            empty = 0 if optimiser.sparse.any() else optimiser.steps
    return empty, total


def test_the_papers_path_of_lambda_moves_a_weight_by_136_times_its_first_value_d19() -> None:
    """If λ grows each epoch, only the loss keeps weights: without a gradient all are zero in the first or second epoch."""
    (fast, total), (slow, _) = steps_until_empty(True), steps_until_empty(False)
    assert total == pytest.approx(19.41, abs=0.01) and total * 7 == pytest.approx(136, abs=0.5)
    assert (fast, slow) == (118, 482)


@pytest.mark.parametrize("kind", [Hapg, AdamHapg])
def test_only_a_gradient_of_lambda_holds_a_group_of_equal_weights_d19(kind: type[Hapg]) -> None:
    """λ α against the entries and λ (1 - α) against the group, at any rate; Adam's step size does not change the balance."""
    after = {}
    for share in (0.9, 1.0, 1.1):
        weights = torch.full((6,), 1 / 7, dtype=torch.float64)
        optimiser = kind(weights, (6,), 0.5, False)
        for _ in range(50):
            optimiser.step(torch.full_like(weights, -share * 0.3), 0.01, 0.3)
        after[share] = float(optimiser.sparse.mean()) * 7
    assert after[0.9] < 1.0 - 1e-3 and after[1.0] == pytest.approx(1.0, abs=1e-6) and after[1.1] > 1.0 + 1e-3


def test_a_weight_alone_in_its_group_needs_more_d19() -> None:
    """The group's share of λ is its root of n, however many of its weights are zero: of 14, the last needs λ (.5 + .5 √14)."""
    needed = 0.3 * (0.5 + 0.5 * math.sqrt(14))
    weights = torch.zeros(14, dtype=torch.float64)
    weights[0] = 1 / 7
    optimiser = Hapg(weights, (14,), 0.5, False)
    gradient = torch.zeros_like(weights)
    for share, moved in ((1.0, 0.0), (0.9, -1.0), (1.1, 1.0)):
        before = float(weights[0])
        gradient[0] = -share * needed
        optimiser.step(gradient, 0.01, 0.3)
        assert (abs(float(weights[0]) - before) < 1e-12) if not moved else (float(weights[0]) - before) * moved > 0
