"""The controller of ENAS in NAS-Bench-1Shot1's code: an LSTM that attends to earlier nodes to choose the inputs of a node."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.weight_sharing import Decision
from methods.one_shot.parts.controller import BOUND, TEMPERATURE, Adam, Drawn, Learner

FAVOURED = frozenset({"maxpool3x3", "conv3x3"})
"""The operations that are likelier at first: the first two of that code's list."""
LEARNT, FIXED = 10.0, 0.25
"""The learnt bias of favoured operations at first (all others: 0), and the fixed one (all others: minus this)."""


class AttentionController(Learner):
    """Draws a cell node by node (D-49).

    A turn belongs to a node from the second block to the output. It draws the inputs of that node, all at once and without
    repetition, and the operation of the block before it. The inputs of the first block are no choice. Those of a node without
    a choice are drawn all the same, as in the code; they are all of its possible inputs.

    All weights start uniform on [-0.1, 0.1]. The log probability of a node's inputs is the mean over them, without regard to
    repetition.

    Args:
        decisions: the operations of blocks 1 to n, and inputs of some of the nodes up to n + 1, the output.
        generator: draws the initial weights.
        adam: settings of the optimiser.
        size: units of the LSTM.
        op_bound: largest logit of an operation, without its fixed bias; that of an input is :data:`BOUND`.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        generator: torch.Generator,
        adam: Adam,
        *,
        size: int = 64,
        op_bound: float = BOUND / 5,
    ) -> None:
        (self._operations,) = (decision for decision in decisions if decision.kind == "operation")
        self._inputs = {decision.targets[0]: decision.picks for decision in decisions if decision.kind == "edge"}
        self.net: _Attention
        super().__init__(decisions, _Attention(self._operations.options, size), adam)
        with torch.no_grad():
            for name, value in self.net.named_parameters():
                if name != "bias":
                    value.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * 0.1)
        self._size, self._op_bound = size, op_bound

    def sample(self, count: int, generator: torch.Generator) -> Drawn:
        """See :meth:`Learner.sample`."""
        net, memory = self.net, _Memory(self.net, count, self._size)
        inputs: dict[int, Tensor] = {}
        operations, log_probabilities, entropies, of_operations = [], [], [], []
        for node in range(2, self._operations.rows + 2):
            logits = BOUND * torch.tanh(net.attend(memory.keys, memory.start()) / TEMPERATURE)
            log_p = logits.log_softmax(-1)
            picks = torch.multinomial(log_p.detach().exp(), self._inputs.get(node, node), generator=generator)
            log_probabilities.append(log_p.gather(1, picks).mean(1))
            entropies.append(_entropy(log_p))
            inputs[node] = picks

            logits = net.output(memory.step(memory.anchor(picks[:, -1]))) + net.bias
            log_p = (self._op_bound * torch.tanh(logits / TEMPERATURE) + net.fixed).log_softmax(-1)
            operation = torch.multinomial(log_p.detach().exp(), 1, generator=generator)
            log_probabilities.append(log_p.gather(1, operation)[:, 0])
            of_operations.append(_entropy(log_p))
            operations.append(operation)
            memory.add(operation[:, 0])
        self.mean_entropy = float(torch.stack(of_operations).mean()) / math.log(len(self._operations.options))
        options = [
            torch.cat(operations if decision.kind == "operation" else [inputs[decision.targets[0]]], 1)
            for decision in self.decisions
        ]
        total = torch.stack(entropies + of_operations).sum(0)
        return Drawn(torch.cat(options, 1), torch.stack(log_probabilities).sum(0), total, self.decisions)


class _Attention(nn.Module):
    fixed: Tensor

    def __init__(self, options: Sequence[str], size: int) -> None:
        super().__init__()
        favoured = torch.tensor([float(option in FAVOURED) for option in options])
        with torch.random.fork_rng(devices=[]):  # PyTorch draws weights from its global generator; a controller draws its own
            self.embedding = nn.Embedding(len(options) + 1, size)
            self.lstm = nn.LSTMCell(size, size)
            self.output = nn.Linear(size, len(options), bias=False)
            self.key, self.query = (nn.Linear(size, size, bias=False) for _ in range(2))
            self.score = nn.Linear(size, 1, bias=False)
        self.bias = nn.Parameter(LEARNT * favoured)
        self.register_buffer("fixed", FIXED * (2 * favoured - 1))

    def attend(self, keys: Sequence[Tensor], state: Tensor) -> Tensor:
        """Return the scores (samples, nodes) of the earlier nodes."""
        scores: Tensor = self.score(torch.tanh(torch.stack(list(keys), 1) + self.query(state)[:, None]))
        return scores[..., 0]


class _Memory:
    """The state of the LSTM, and what it keeps of each node: an anchor, which is zero for the input and the first block."""

    def __init__(self, net: _Attention, count: int, size: int) -> None:
        self._net, self._none = net, torch.zeros(count, size, dtype=net.bias.dtype)
        self._state = self._none, self._none
        self.anchors: list[Tensor] = []
        self.keys: list[Tensor] = []
        for _ in range(2):
            self.keys.append(net.key(self.start()))
            self.anchors.append(self._none)

    def step(self, inputs: Tensor) -> Tensor:
        """Return the LSTM's output."""
        self._state = self._net.lstm(inputs, self._state)
        return self._state[0]

    def start(self) -> Tensor:
        """Step on the word that starts a turn, which is the first of the embedding."""
        return self.step(self._net.embedding.weight[:1].expand_as(self._none))

    def anchor(self, node: Tensor) -> Tensor:
        """Return the anchor of each sample's node."""
        return torch.stack(self.anchors, 1)[torch.arange(len(node)), node]

    def add(self, operation: Tensor) -> None:
        """Add a node with this operation."""
        output = self.step(self._net.embedding(operation + 1))
        self.anchors.append(output)
        self.keys.append(self._net.key(output))


def _entropy(log_p: Tensor) -> Tensor:
    log_p = log_p.detach()
    return -(log_p.exp() * log_p).sum(-1)
