"""Exponentiated gradient stays on the simplices and is mirror descent there."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from methods.one_shot.parts.exponentiated import entropic_penalty, exponentiated_step


def rows(low: float, high: float) -> st.SearchStrategy[Tensor]:
    entries = st.lists(st.lists(st.floats(low, high), min_size=5, max_size=5), min_size=6, max_size=6)
    return entries.map(lambda values: torch.tensor(values, dtype=torch.float64))


simplices = rows(0.01, 1).map(lambda theta: theta / theta.sum(-1, keepdim=True))
gradients, any_rate = rows(-5, 5), st.floats(0.001, 1)


@given(simplices, gradients, any_rate)
def test_a_step_is_the_multiplicative_update_normalised(theta: Tensor, gradient: Tensor, rate: float) -> None:
    product = theta * torch.exp(-rate * gradient)
    torch.testing.assert_close(exponentiated_step(theta, gradient, rate, floor=0.0), product / product.sum(-1, keepdim=True))


@given(simplices, gradients, any_rate, st.sampled_from([0.0, 1e-5, 0.05]))
def test_the_released_orders_of_clamping(theta: Tensor, gradient: Tensor, rate: float, floor: float) -> None:
    """D-21, as the two released functions are written; clamped last, rows sum to no less than 1."""
    product = theta * torch.exp(-rate * gradient)
    first = product.clamp_min(floor)
    torch.testing.assert_close(exponentiated_step(theta, gradient, rate, floor), first / first.sum(-1, keepdim=True))
    last = exponentiated_step(theta, gradient, rate, floor, "normalise_clamp")
    torch.testing.assert_close(last, (product / product.sum(-1, keepdim=True)).clamp_min(floor))
    assert (last.sum(-1) > 1 - 1e-12).all() and (last >= floor).all()


@given(simplices, any_rate)
def test_a_zero_gradient_leaves_theta(theta: Tensor, rate: float) -> None:
    torch.testing.assert_close(exponentiated_step(theta, torch.zeros_like(theta), rate), theta, rtol=0, atol=1e-15)


@given(simplices, rows(-1e6, 1e6), any_rate)
def test_rows_stay_on_the_simplex_for_every_gradient(theta: Tensor, gradient: Tensor, rate: float) -> None:
    stepped = exponentiated_step(theta, gradient, rate)
    assert (stepped >= 0).all()
    torch.testing.assert_close(stepped.sum(-1), torch.ones(6, dtype=torch.float64))


@given(simplices, gradients, any_rate, simplices)
def test_a_step_minimises_the_mirror_descent_objective(theta: Tensor, gradient: Tensor, rate: float, point: Tensor) -> None:
    """GAEA, eq. 5: rate * gradient . u + u . (log u - log theta), over the simplices."""

    def objective(u: Tensor) -> Tensor:
        return (rate * gradient * u + u * (u.log() - theta.log())).sum()

    assert objective(exponentiated_step(theta, gradient, rate, floor=0.0)) <= objective(point) + 1e-12


@given(simplices, gradients, any_rate)
def test_consecutive_simplices_step_as_rows_do(theta: Tensor, gradient: Tensor, rate: float) -> None:
    vector = exponentiated_step(theta.flatten(), gradient.flatten(), rate, sizes=(5,) * 6)
    torch.testing.assert_close(vector, exponentiated_step(theta, gradient, rate).flatten())


def test_the_edge_weights_of_the_darts_space_sum_to_one_per_node() -> None:
    sizes = (2, 3, 4, 5)
    start = torch.cat([torch.full((size,), 1 / size) for size in sizes])
    beta = start
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        beta = exponentiated_step(beta, torch.randn(14, generator=generator), 0.1, floor=0.0, sizes=sizes)
    sums = torch.stack([node.sum() for node in torch.split(beta, list(sizes))])
    torch.testing.assert_close(sums, torch.ones(4))
    assert not torch.allclose(beta, start, atol=0.05)


def test_the_floor_keeps_a_losing_operation_alive() -> None:
    theta, gradient = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    floored = unfloored = theta
    for _ in range(500):
        floored = exponentiated_step(floored, gradient, 0.1)
        unfloored = exponentiated_step(unfloored, gradient, 0.1, floor=0.0)
    assert floored[0, 0] == pytest.approx(1e-5, rel=1e-3)
    assert unfloored[0, 0] < 1e-20


@given(simplices)
def test_the_penalty_is_zero_on_uniform_rows_only_and_its_step_pulls_there(theta: Tensor) -> None:
    assert float(entropic_penalty(torch.full((6, 5), 0.2, dtype=torch.float64))) == pytest.approx(0, abs=1e-12)
    theta = theta.clone().requires_grad_()
    entropic_penalty(theta).backward()
    assert theta.grad is not None
    pulled = exponentiated_step(theta.detach(), theta.grad, 0.01, floor=0.0)
    before, after = float(entropic_penalty(theta.detach())), float(entropic_penalty(pulled))
    assert after < before or before < 1e-9


def test_an_operation_at_zero_stays_there_without_a_floor() -> None:
    theta = torch.tensor([[0.0, 0.4, 0.6]])
    assert exponentiated_step(theta, torch.tensor([[-9.0, 0.0, 0.0]]), 1.0, floor=0.0)[0, 0] == 0
    assert float(entropic_penalty(theta)) == pytest.approx(float((theta[0, 1:] * (3 * theta[0, 1:]).log()).sum()))


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order is 'clamp_normalise' or 'normalise_clamp', not 'both'"):
        exponentiated_step(torch.ones(1, 2) / 2, torch.zeros(1, 2), 0.1, order="both")  # type: ignore[arg-type]
