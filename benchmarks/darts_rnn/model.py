"""The language model around a recurrent cell: embedding, cell and decoder, which shares its weights with the embedding."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts_rnn.cell import NODES, inputs, pruned, surviving
from benchmarks.darts_rnn.dropout import NO_MASKS, Masks, masked
from harness.space import Arch

RANGE = 0.04
"""First values of embedding and matrices are uniform within this; those of the decoder's bias are zero."""

FUNCTIONS: tuple[Callable[[Tensor], Tensor], ...] = (torch.tanh, torch.relu, torch.sigmoid, lambda x: x)
"""The activations, in the order of :data:`benchmarks.darts_rnn.cell.ACTIVATIONS`."""

Recurrence = Callable[[Tensor, Tensor, Masks], Tensor]
"""One step of a cell: from the projected input (streams, 2 width) and the hidden state to the next hidden state."""


class LanguageModel(nn.Module):
    """The weights of a language model, and its pass over a block of text. The cell is an argument of the pass.

    Args:
        types: size of the vocabulary.
        width: number of hidden units, which is the length of an embedding.
        nodes: the nodes that have a matrix.
        seed: seed of the first values.
    """

    def __init__(self, types: int, width: int, nodes: tuple[int, ...] = tuple(range(1, NODES + 1)), seed: int = 0) -> None:
        super().__init__()
        self.types, self.width = types, width
        self.embedding = nn.Parameter(torch.empty(types, width))
        self.shift = nn.Parameter(torch.zeros(types))
        self.first = nn.Parameter(torch.empty(2 * width, 2 * width))
        self.matrices = nn.ParameterDict({str(node): nn.Parameter(torch.empty(width, 2 * width)) for node in nodes})
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Set all parameters to the first values of a seed."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in self.named_parameters():
                drawn = torch.rand(value.shape, generator=generator)
                value.copy_(drawn * 0 if name == "shift" else (2 * drawn - 1) * RANGE)

    def matrix(self, node: int) -> Tensor:
        """Return the matrix of a node, (width, 2 width): of its gate, then of its candidate values."""
        matrix: Tensor = self.matrices[str(node)]
        return matrix

    def outputs(self, tokens: Tensor, hidden: Tensor, step: Recurrence, masks: Masks = NO_MASKS) -> Tensor:
        """Return the hidden state after each token, (length, streams, width).

        Args:
            tokens: (length, streams), int64.
            hidden: (streams, width), the state before the first token.
            step: a step of the cell.
            masks: the dropouts of this block.
        """
        embedded = F.embedding(tokens, masked(self.embedding, masks.words))
        projected = masked(embedded, masks.inputs) @ self.first[: self.width]
        states = []
        for row in projected.unbind():
            hidden = step(row, hidden, masks)
            states.append(hidden)
        return torch.stack(states)

    def state_0(self, projected: Tensor, hidden: Tensor, masks: Masks) -> Tensor:
        """Return ``h + sigmoid(c) (tanh(v) - h)`` with ``[c, v] = [x, m h] W0``: the mask is not on the carried state."""
        gate, values = (projected + masked(hidden, masks.hidden) @ self.first[self.width :]).chunk(2, -1)
        return hidden + gate.sigmoid() * (values.tanh() - hidden)

    def decode(self, outputs: Tensor) -> Tensor:
        """Return the logits (..., types) of the next tokens."""
        return F.linear(outputs, self.embedding, self.shift)


class CellStep:
    """A step of a cell as it is evaluated: the function that a training from scratch trains.

    A node is the mean of its terms ``s + sigmoid(c) (f(v) - s)`` with ``[c, v] = (m s) W``: one term for each activation f of
    each predecessor s. The next hidden state is the mean of the surviving nodes. A node of a single-path cell has a single term
    (D-98).

    Args:
        model: the weights.
        arch: the cell.
    """

    def __init__(self, model: LanguageModel, arch: Arch) -> None:
        cell = pruned(arch)
        self._model = model
        self._terms = {node: inputs(cell, node) for node in surviving(cell)}

    def __call__(self, projected: Tensor, hidden: Tensor, masks: Masks) -> Tensor:
        model = self._model
        states = {0: model.state_0(projected, hidden, masks)}
        for node, entering in self._terms.items():
            total = None
            for source in dict.fromkeys(source for _, source in entering):
                state = states[source]
                gate, values = (masked(state, masks.hidden) @ model.matrix(node)).chunk(2, -1)
                gate = gate.sigmoid()
                for number in (number for number, start in entering if start == source):
                    term = state + gate * (FUNCTIONS[number](values) - state)
                    total = term if total is None else total + term
            assert total is not None, "a surviving node has inputs"
            states[node] = total if len(entering) == 1 else total / len(entering)
        nodes = [states[node] for node in self._terms]
        return sum(nodes[1:], nodes[0]) / len(nodes) if nodes else states[0]


def slowness(outputs: Tensor) -> Tensor:
    """Return the mean square of the change of the hidden state from a token to the next; 0 for a single token."""
    return (outputs[1:] - outputs[:-1]).pow(2).mean() if len(outputs) > 1 else outputs.new_zeros(())
