"""ENAS' controller: a two-layer LSTM that chooses one option after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.weight_sharing import Decision

SIZE = 32
TEMPERATURE = 5.0
BOUND = 2.5
"""Logits are ``BOUND * tanh(logits / TEMPERATURE)``."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Some samples of the controller."""

    options: Tensor
    """(samples, rows over all decisions), int64."""
    log_probabilities: Tensor
    """(samples,), of each sample's whole sequence; differentiable."""
    entropies: Tensor
    """(samples,), summed over the sequence."""
    decisions: Sequence[Decision]

    def tables(self) -> list[list[Tensor]]:
        """Each sample as one-hot tables, one per decision."""
        sizes = [one.rows for one in self.decisions]
        return [
            [F.one_hot(part, len(one.options)) for part, one in zip(row.split(sizes), self.decisions, strict=True)]
            for row in self.options
        ]


class Controller:
    """Draws choices and learns from advantages. Small, hence on the CPU.

    All rows must choose among equally many options. As in NAS-Bench-201's code, the weights of the first LSTM layer, the
    embeddings and the output start uniform on [-0.1, 0.1], the rest as PyTorch has it.
    """

    def __init__(self, decisions: Sequence[Decision], generator: torch.Generator, lr: float) -> None:
        self.decisions, self.rows = decisions, sum(one.rows for one in decisions)
        options = len(decisions[0].options)
        if any(len(one.options) != options for one in decisions):
            raise ValueError("the controller chooses among equally many options everywhere")
        self.net = nn.ModuleDict(
            {"lstm": nn.LSTM(SIZE, SIZE, 2), "embedding": nn.Embedding(options, SIZE), "output": nn.Linear(SIZE, options)}
        )
        self.start = nn.Parameter(torch.empty(1, SIZE))
        self.parameters = [self.start, *self.net.parameters()]
        small = {"lstm.weight_hh_l0", "lstm.weight_ih_l0", "embedding.weight", "output.weight"}
        with torch.no_grad():
            for name, value in [("start", self.start), *self.net.named_parameters()]:
                bound = 0.1 if name == "start" or name in small else SIZE**-0.5
                value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * bound)
        self._adam = torch.optim.Adam(self.parameters, lr=lr, betas=(0.0, 0.999), eps=1e-3)
        self.baseline: float | None = None
        self.mean_entropy = float("nan")
        """Mean entropy of a choice in the last samples, 1 where all options are equally likely."""

    def sample(self, count: int, generator: torch.Generator) -> Drawn:
        """``count`` independent sequences of choices."""
        inputs, state = self.start.expand(1, count, SIZE).contiguous(), None
        options, log_probabilities, entropies = [], [], []
        for _ in range(self.rows):
            outputs, state = self.net["lstm"](inputs, state)
            logits = BOUND * torch.tanh(self.net["output"](outputs[0]) / TEMPERATURE)
            log_p = logits.log_softmax(-1)
            chosen = torch.multinomial(log_p.detach().exp(), 1, generator=generator)
            options.append(chosen[:, 0])
            log_probabilities.append(log_p.gather(1, chosen)[:, 0])
            entropies.append(-(log_p.exp() * log_p).sum(-1).detach())
            inputs = self.net["embedding"](chosen[:, 0])[None]
        total = torch.stack(entropies).sum(0)
        self.mean_entropy = float(total.mean()) / self.rows / math.log(len(self.decisions[0].options))
        return Drawn(torch.stack(options, 1), torch.stack(log_probabilities).sum(0), total, self.decisions)

    def reinforce(self, drawn: Drawn, advantages: Sequence[float], clip: float) -> None:
        """One step up ``mean(advantage * log probability)``."""
        loss = -(drawn.log_probabilities * torch.tensor(advantages)).mean()
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, clip)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return {
            "start": self.start.detach(),
            "net": self.net.state_dict(),
            "adam": self._adam.state_dict(),
            "baseline": self.baseline,
            "mean_entropy": self.mean_entropy,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.start.copy_(state["start"])
        self.net.load_state_dict(state["net"])
        self._adam.load_state_dict(state["adam"])
        self.baseline, self.mean_entropy = state["baseline"], state["mean_entropy"]
