"""Experts with wipe-out: the architecture update of XNAS (arXiv:1906.08031), which the GAEA paper compares with."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from harness.steps import Number


class Experts:
    """Multiplicative weights over the operations of each edge, under rewards in ``[-bound, bound]`` for a known horizon.

    A round is one data point (in one cell, if cells share the experts): ``v <- v exp(rate * reward)``. An expert is then
    dropped for good if even the best future rewards could not bring it up to the leader:
    ``v < max v * exp(-2 rate bound (rounds - round))``, with ``rate = sqrt(2 ln N / (rounds bound^2))``.

    ``log_weights`` (edges, experts), float64, is ``log v``, and minus infinity for dropped experts.

    Args:
        edges: rows.
        experts: operations of each row (N).
        rounds: the horizon T.
        bound: rewards are clipped to this (L).
        device: device of the weights.
    """

    def __init__(self, edges: int, experts: int, rounds: int, bound: float, device: torch.device | str = "cpu") -> None:
        if not (rounds > 0 and bound > 0):
            raise ValueError("rounds and bound must be above zero")
        self.rounds, self.bound = rounds, bound
        self.rate = math.sqrt(2 * math.log(experts) / (rounds * bound**2))
        self.round = 0
        self.log_weights = torch.zeros(edges, experts, dtype=torch.float64, device=device)

    @property
    def mixture(self) -> Tensor:
        """``v / sum v`` per edge: the weights of the operations, exactly 0 for dropped ones."""
        return self.log_weights.softmax(-1)

    def step(self, rewards: Tensor, share: float | None = None) -> None:
        """Play one round per data point: :meth:`advance`, :meth:`reward` and :meth:`drop`."""
        slack = self.advance(len(rewards), share)
        self.reward(rewards)
        self.drop(slack)

    def advance(self, points: int, share: float | None = None) -> float:
        """Count one round per data point, and return how far behind the leader an expert may be after them.

        Args:
            points: number of data points.
            share: share of the horizon that is over, if the search fits a budget and may play fewer or more rounds than
                expected; None: the share that has been played.
        """
        if share is None and self.round + points > self.rounds:
            raise ValueError(f"round {self.round + points} is beyond the horizon of {self.rounds}")
        self.round += points
        left = self.rounds - self.round if share is None else self.rounds * (1 - share)
        return 2 * self.rate * self.bound * left

    def reward(self, rewards: Tensor) -> None:
        """Move the weights.

        Args:
            rewards: (points, edges, experts). The reward of operation o is ``-<d loss / d mixture, f_o(x)>``, by the loss of
                that data point. Rewards of dropped experts are ignored.
        """
        gain = rewards.detach().to(self.log_weights).clamp(-self.bound, self.bound).sum(0)
        self.log_weights.add_(self.rate * gain.masked_fill(self.log_weights.isneginf(), 0.0))

    def drop(self, slack: Number) -> None:
        """Drop the experts that are further behind the leader than ``slack``.

        Dropping once after several rounds drops the same experts as dropping after each: an expert gains at most
        ``2 rate bound`` per round on the leader, and the threshold rises by as much.
        """
        leader = self.log_weights.max(-1, keepdim=True).values
        self.log_weights.masked_fill_(self.log_weights < leader - slack, -math.inf)

    def state_dict(self) -> dict[str, Any]:
        return {"round": self.round, "log_weights": self.log_weights.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.round = state["round"]
        self.log_weights = state["log_weights"].to(self.log_weights).clone()
