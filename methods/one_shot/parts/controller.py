"""The controllers of ENAS (arXiv:1802.03268): what all have in common, and that of NAS-Bench-201's code.

That of NAS-Bench-1Shot1's code is in :mod:`methods.one_shot.parts.attention_controller`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.weight_sharing import Decision
from methods.one_shot.parts.adam import AdamSteps

TEMPERATURE = 5.0
BOUND = 2.5
"""Logits are ``BOUND * tanh(logits / TEMPERATURE)``."""


class Adam(NamedTuple):
    """Settings of a controller's optimiser."""

    lr: float
    beta: float = 0.0
    """The first decay rate."""
    eps: float = 1e-3
    decay: float = 0.0
    """L2 penalty."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples of the controller."""

    options: Tensor
    """(samples, picks over all rows and decisions), int64."""
    log_probabilities: Tensor
    """(samples,), of the sequence of each sample; differentiable."""
    entropies: Tensor
    """(samples,), summed over the sequence."""
    decisions: Sequence[Decision]

    def tables(self) -> list[list[Tensor]]:
        """Return each sample as tables of ones and zeros, one per decision."""
        return [list(sample) for sample in zip(*self._tables(), strict=True)]

    def _tables(self) -> list[Tensor]:
        tables, start = [], 0
        for decision in self.decisions:
            rows, count = decision.rows, decision.picks
            picks = self.options[:, start : start + rows * count]
            tables.append(F.one_hot(picks.reshape(-1, rows, count), len(decision.options)).sum(2))
            start += rows * count
        return tables


class Learner(ABC):
    """A controller: it draws choices and learns from advantages. It is small, so it is on the CPU.

    Args:
        decisions: decisions of the space.
        net: its weights.
        adam: settings of the optimiser.
    """

    def __init__(self, decisions: Sequence[Decision], net: nn.Module, adam: Adam) -> None:
        self.decisions, self.net = decisions, net
        self.parameters = list(net.parameters())
        self._adam = AdamSteps(self.parameters, adam.lr, (adam.beta, 0.999), adam.eps, adam.decay)
        self.baseline: float | None = None
        self.mean_entropy = float("nan")
        """Mean entropy of the choices of operations in the last samples; 1 if all are equally likely."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> Drawn:
        """Draw ``count`` independent sequences of choices."""

    def reinforce(self, drawn: Drawn, advantages: Sequence[float], clip: float) -> None:
        """Take one step up ``mean(advantage * log probability)``.

        Args:
            clip: largest norm of the gradient; 0: not clipped.
        """
        loss = -(drawn.log_probabilities * torch.tensor(advantages)).mean()
        self.net.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, clip)
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "adam": self._adam.state_dict(),
            "baseline": self.baseline,
            "mean_entropy": self.mean_entropy,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self._adam.load_state_dict(state["adam"])
        self.baseline, self.mean_entropy = state["baseline"], state["mean_entropy"]


class _Lstm(nn.Module):
    def __init__(self, options: int, size: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(1, size))
        with torch.random.fork_rng(devices=[]):  # PyTorch draws weights from its global generator; a controller draws its own
            self.lstm = nn.LSTM(size, size, 2)
            self.embedding = nn.Embedding(options, size)
            self.output = nn.Linear(size, options)


class Controller(Learner):
    """The controller of NAS-Bench-201's code: a two-layer LSTM that chooses one option after the other.

    The weights of the first LSTM layer, of the embeddings and of the output start uniform on [-0.1, 0.1]; all others have
    PyTorch's default. If a row takes several options, they are drawn one after the other without repetition.

    Args:
        decisions: decisions of the space.
        generator: draws the initial weights.
        adam: settings of the optimiser.
        size: units of the LSTM.
        op_bound: largest logit of an operation; that of an edge is :data:`BOUND`.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        generator: torch.Generator,
        adam: Adam,
        *,
        size: int = 32,
        op_bound: float = BOUND,
    ) -> None:
        self.net: _Lstm
        super().__init__(decisions, _Lstm(max(len(decision.options) for decision in decisions), size), adam)
        small = {"start", "lstm.weight_hh_l0", "lstm.weight_ih_l0", "embedding.weight", "output.weight"}
        with torch.no_grad():
            for name, value in self.net.named_parameters():
                bound = 0.1 if name in small else size**-0.5
                value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * bound)
        self._op_bound = op_bound

    def sample(self, count: int, generator: torch.Generator) -> Drawn:
        """See :meth:`Learner.sample`."""
        inputs, state = self.net.start.expand(1, count, -1).contiguous(), None
        options, log_probabilities, entropies, of_operations = [], [], [], []
        for decision in self.decisions:
            number = len(decision.options)
            bound = self._op_bound if decision.kind == "operation" else BOUND
            for _ in range(decision.rows):
                taken = torch.zeros(count, number, dtype=torch.bool)
                for _ in range(decision.picks):
                    outputs, state = self.net.lstm(inputs, state)
                    logits = bound * torch.tanh(self.net.output(outputs[0])[:, :number] / TEMPERATURE)
                    log_p = logits.masked_fill(taken, -math.inf).log_softmax(-1)
                    p = log_p.detach().exp()
                    chosen = torch.multinomial(p, 1, generator=generator)
                    taken = taken.scatter(1, chosen, True)
                    options.append(chosen[:, 0])
                    log_probabilities.append(log_p.gather(1, chosen)[:, 0])
                    entropies.append(-torch.xlogy(p, p).sum(-1))
                    if decision.kind == "operation":
                        of_operations.append(entropies[-1].mean() / math.log(number))
                    inputs = self.net.embedding(chosen[:, 0])[None]
        self.mean_entropy = float(torch.stack(of_operations).mean())
        total = torch.stack(entropies).sum(0)
        return Drawn(torch.stack(options, 1), torch.stack(log_probabilities).sum(0), total, self.decisions)
