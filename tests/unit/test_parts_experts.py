"""XNAS' experts: dropped for good, and only where they could not have won."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from methods.one_shot.parts.experts import Experts

ROUNDS, EDGES, OPERATIONS, BOUND = 40, 3, 4, 0.5
seeds = st.integers(0, 10_000)


def rewards(seed: int, rounds: int = ROUNDS) -> Tensor:
    """Experts of different worth, rewards beyond the bound included."""
    generator = torch.Generator().manual_seed(seed)
    worth = torch.randn(1, EDGES, OPERATIONS, generator=generator, dtype=torch.float64)
    return 0.4 * worth + 0.4 * torch.randn(rounds, EDGES, OPERATIONS, generator=generator, dtype=torch.float64)


def test_an_update_by_hand() -> None:
    experts = Experts(1, 2, rounds=100, bound=1.0)
    assert experts.rate == math.sqrt(2 * math.log(2) / 100)
    experts.step(torch.tensor([[[0.5, -7.0]]]))
    gap = experts.rate * 1.5
    torch.testing.assert_close(experts.mixture[0, 0], torch.tensor(1 / (1 + math.exp(-gap)), dtype=torch.float64))


@given(seeds)
def test_without_drops_it_is_hedge_on_clipped_rewards(seed: int) -> None:
    """Long before the horizon nobody can be dropped."""
    experts = Experts(EDGES, OPERATIONS, rounds=10_000, bound=BOUND)
    played = rewards(seed)
    experts.step(played)
    sums = played.clamp(-BOUND, BOUND).sum(0)
    torch.testing.assert_close(experts.mixture, (experts.rate * sums).softmax(-1))


@given(seeds)
def test_a_dropped_expert_never_returns_and_the_best_in_hindsight_is_never_dropped(seed: int) -> None:
    experts = Experts(EDGES, OPERATIONS, ROUNDS, BOUND)
    played = rewards(seed)
    best = played.clamp(-BOUND, BOUND).sum(0).argmax(-1)
    gone = torch.zeros(EDGES, OPERATIONS, dtype=torch.bool)
    for row in played:
        experts.step(torch.where(gone, torch.full_like(row, math.nan), row)[None])
        now = experts.mixture == 0
        assert (now | ~gone).all(), "what was dropped stays dropped"
        gone = now
        assert not gone[torch.arange(EDGES), best].any()
        torch.testing.assert_close(experts.mixture.sum(-1), torch.ones(EDGES, dtype=torch.float64))
    assert gone.sum() == EDGES * (OPERATIONS - 1), "at the horizon only the leaders are left"
    with pytest.raises(ValueError, match="round 41 is beyond the horizon of 40"):
        experts.step(played[:1])


@given(seeds, st.integers(1, 13))
def test_rounds_in_batches_are_rounds_one_by_one(seed: int, batch: int) -> None:
    together, apart = (Experts(EDGES, OPERATIONS, ROUNDS, BOUND) for _ in range(2))
    for rows in torch.split(rewards(seed), batch):
        together.step(rows)
        for row in rows:
            apart.step(row[None])
        torch.testing.assert_close(together.mixture, apart.mixture)
        assert torch.equal(together.mixture == 0, apart.mixture == 0)


def test_an_expert_is_dropped_exactly_where_it_could_not_win() -> None:
    """Two experts at the bound's ends are 2 apart each round: after half the horizon the rest just suffices."""
    experts = Experts(1, 2, rounds=10, bound=1.0)
    step = torch.tensor([[[1.0, -1.0]]])
    for _ in range(4):
        experts.step(step)
    assert (experts.mixture > 0).all()
    experts.step(torch.cat([step] * 2))
    assert experts.mixture.tolist() == [[1.0, 0.0]]


def test_a_restored_state_goes_on_as_if_never_interrupted() -> None:
    experts, again = (Experts(EDGES, OPERATIONS, ROUNDS, BOUND) for _ in range(2))
    first, second = rewards(0).split(20)
    experts.step(first)
    again.load_state_dict(experts.state_dict())
    experts.step(second)
    again.step(second)
    assert torch.equal(experts.log_weights, again.log_weights)
    assert again.round == ROUNDS


def test_impossible_horizons_are_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Experts(1, 2, rounds=0, bound=1.0)
