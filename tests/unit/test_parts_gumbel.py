"""Gumbel samples are one-hot, have the softmax's distribution, and carry the tempered softmax's gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from methods.one_shot.parts.gumbel import gumbel_one_hot, linear_temperature, released_temperature


@given(st.integers(0, 2**32), st.floats(0.1, 10), st.sampled_from([torch.float32, torch.float64]))
def test_a_sample_is_exactly_one_hot(seed: int, temperature: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(6, 5, generator=generator, dtype=dtype)).requires_grad_()
    sample = gumbel_one_hot(logits, temperature, generator)
    assert sample.dtype == dtype
    assert sorted(sample.unique().tolist()) == [0.0, 1.0]
    assert (sample.sum(-1) == 1).all()


def test_categories_come_as_often_as_the_softmax_says() -> None:
    probabilities = torch.tensor([0.05, 0.1, 0.15, 0.3, 0.4], dtype=torch.float64)
    rows = probabilities.log().expand(20_000, 5)
    counts = gumbel_one_hot(rows, 0.7, torch.Generator().manual_seed(0)).sum(0)
    assert chisquare(counts, 20_000 * probabilities).pvalue > 0.01


def test_the_gradient_is_the_tempered_softmax_s() -> None:
    temperature, seed = 0.8, 3
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    upstream = torch.randn(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (gumbel_one_hot(logits, temperature, torch.Generator().manual_seed(seed)) * upstream).sum().backward()

    uniform = torch.empty(6, 5, dtype=torch.float64).exponential_(generator=torch.Generator().manual_seed(seed))
    soft = ((logits.detach() - uniform.log()) / temperature).softmax(-1)
    expected = soft * (upstream - (soft * upstream).sum(-1, keepdim=True)) / temperature
    torch.testing.assert_close(logits.grad, expected)


def test_the_generator_alone_decides() -> None:
    logits = torch.zeros(50, 5)
    first, again, different = (gumbel_one_hot(logits, 1.0, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, different)
    generator = torch.Generator().manual_seed(7)
    gumbel_one_hot(logits, 1.0, generator)
    state = generator.get_state()
    following = gumbel_one_hot(logits, 1.0, generator)
    generator.set_state(state)
    assert torch.equal(gumbel_one_hot(logits, 1.0, generator), following)


def test_an_operation_at_zero_is_never_drawn() -> None:
    theta = torch.tensor([0.0, 0.5, 0.5]).expand(1000, 3)
    assert gumbel_one_hot(theta.log(), 0.1, torch.Generator().manual_seed(0))[:, 0].sum() == 0


def test_temperatures() -> None:
    assert linear_temperature(0, 250) == 10.0
    assert linear_temperature(249, 250) == pytest.approx(0.1)
    assert [linear_temperature(epoch, 150, warmup=50) for epoch in (0, 50, 149)] == pytest.approx([10.0, 10.0, 0.1])
    # D-26: the released run of 150 epochs ends at 3.4
    assert released_temperature(50, 150) == 10.0
    assert released_temperature(149, 150) == pytest.approx(3.422, abs=1e-3)
    assert released_temperature(149, 150, warmup=0) == pytest.approx(0.1)
    assert linear_temperature(0, 1) == released_temperature(0, 1) == 10.0
