"""The supernet of recurrent cells: its decision, the options of an architecture, its passes over text, and their price."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.darts_rnn.cell import ACTIVATIONS, EDGE, EDGES, NODES, activations
from benchmarks.darts_rnn.dropout import NO_MASKS, Dropout
from benchmarks.darts_rnn.memory import Memory
from benchmarks.darts_rnn.mixture import MixedStep, Mixture, mixture
from benchmarks.darts_rnn.model import LanguageModel, slowness
from benchmarks.darts_rnn.size import pass_macs
from benchmarks.networks import SupernetBase, free
from harness.space import Arch
from harness.training import Meter
from harness.weight_sharing import Active, Decision, ranked

Pass = Callable[[float, int, bool, Meter], None]
"""A function that charges one pass. It takes multiply-adds per token, the number of tokens, True for training, and a meter."""


class Supernet(SupernetBase[Mixture]):
    """See :class:`harness.weight_sharing.Supernet`. An image is a token: the input of a pass is the places of tokens in a text.

    The places (n,) are those of a block, stream by stream: consecutive within a stream, and with a gap between streams. The
    hidden state is carried from block to block; see :class:`benchmarks.darts_rnn.memory.Memory`. An evaluation continues only
    from an evaluation of the same options. In training, dropouts are drawn for each pass. The loss of the weights has the
    slowness penalty by its gradient: neither the logits nor the value of the loss change.

    Decision: ``recurrent``, a row per edge of :data:`benchmarks.darts_rnn.cell.EDGES`.

    Args:
        text: int64, the tokens that places refer to.
        types: size of the vocabulary.
        width: number of hidden units.
        penalised: number of first tokens of the text whose passes have the slowness penalty: not the validation text.
        none: ``none`` is one of the options.
        track: the norm keeps running statistics for evaluation; if False, every step is normalised by its own statistics.
        dropout: the dropouts of training.
        slow: factor of the slowness penalty.
        noise: generator of the dropouts, on the CPU.
        seed: seed of the first values.
        charge: charges each pass to a meter.
        meter: the meter of the search.
    """

    module: SearchModel

    def __init__(
        self,
        text: Tensor,
        types: int,
        width: int,
        *,
        penalised: int = 0,
        none: bool = True,
        track: bool = True,
        dropout: Dropout | None = None,
        slow: float = 1e-3,
        noise: torch.Generator | None = None,
        seed: int = 0,
        charge: Pass = lambda macs, tokens, training, meter: None,
        meter: Meter = free,
    ) -> None:
        targets = tuple(target for target, _ in EDGES)
        options = (*("none",) * none, *ACTIVATIONS)
        decision = Decision("recurrent", len(EDGES), options, targets=targets, several=True)
        super().__init__((decision,), SearchModel(types, width, track), 1, seed, meter)
        self.module.reset(seed)  # not PyTorch's default
        self._text, self._penalised, self._first = text, penalised, int(none)
        self._dropout, self._slow, self._noise = dropout or Dropout(), slow, noise or torch.Generator().manual_seed(seed)
        self._charge = charge
        self._memory = Memory()

    def _cell(self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device) -> Mixture:
        rows = tuple(tuple(option - self._first for option in row if option >= self._first) for row in active[0])
        table = None if weights is None else weights[0][..., self._first :]
        if table is not None and table.dim() != 2:
            raise ValueError("the tokens of a pass cannot have weights each; pass one table (edges, options)")
        return mixture(rows, table, device, straight_through)

    def _pay(self, cells: Sequence[Mixture], images: int, training: bool, meter: Meter) -> None:
        model = self.module
        self._charge(float(pass_macs(cells[0].edges, model.width, model.types)), images, training, meter)

    def _logits(self, images: Tensor, cells: Sequence[Mixture]) -> Tensor:
        places, model = by_row(images), self.module
        length, streams = places.shape
        start, text = int(places[0, 0]), self._text
        lane: Hashable = (model.training, streams, None if model.training else (cells[0].rows, cells[0].weighted))
        masks = NO_MASKS
        if model.training:
            masks = self._dropout.draw(streams, model.width, model.types, self._noise, images.device)
        hidden = self._memory.state((start, lane))
        if hidden is None:
            hidden = model.embedding.new_zeros(streams, model.width)
        outputs = model.outputs(text[places], hidden, MixedStep(model, model.norm, cells[0]), masks)
        self._memory.keep((start + length, lane), outputs[-1])
        dropped = outputs if masks.outputs is None else outputs * masks.outputs
        logits = model.decode(dropped.transpose(0, 1)).flatten(0, 1)
        if model.training and start < self._penalised and outputs.requires_grad and model.embedding.requires_grad:
            logits = _with_gradient_of(logits, self._slow * slowness(outputs))
        return logits

    def active_for(self, arch: Arch) -> Active:
        """See the contract. Edges that are not in the architecture execute no activation."""
        return (tuple(tuple(self._first + number for number in activations(edge)) for edge in arch),)

    def arch_of(self, active: Active) -> Arch:
        """See the contract."""
        return tuple(sum(1 << option - self._first for option in row if option >= self._first) for row in active[0])

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        """Return DARTS' choice: for each node the predecessor whose best activation scores highest, with that activation.

        ``none`` takes no part in the comparison.
        """
        table = torch.as_tensor(scores[0]).double()[:, self._first :].tolist()
        best = [ranked(row, rng)[0] for row in table]
        edges = [0] * len(EDGES)
        for node in range(1, NODES + 1):
            entering = [EDGE[node, source] for source in range(node)]
            edge = entering[ranked([table[edge][best[edge]] for edge in entering], rng)[0]]
            edges[edge] = 1 << best[edge]
        return tuple(edges)


class SearchModel(LanguageModel):
    """The weights of the language model, and the one norm that state 0, all nodes and all steps of a mixture share."""

    def __init__(self, types: int, width: int, track: bool) -> None:
        super().__init__(types, width)
        self.norm = nn.BatchNorm1d(width, affine=False, track_running_stats=track)


def by_row(places: Tensor) -> Tensor:
    """Return the places of a block as (length, streams).

    Args:
        places: (n,), stream by stream; places are consecutive within a stream and not from a stream to the next.
    """
    breaks = (places[1:] != places[:-1] + 1).nonzero()
    length = int(breaks[0]) + 1 if len(breaks) else len(places)
    return places.view(-1, length).T


class _WithGradientOf(torch.autograd.Function):
    """See :func:`_with_gradient_of`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, penalty: Tensor) -> Tensor:
        ctx.save_for_backward(penalty)
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (penalty,) = ctx.saved_tensors
        return gradient, torch.ones_like(penalty)


def _with_gradient_of(values: Tensor, penalty: Tensor) -> Tensor:
    """Return the values. The backward pass adds the gradient of the penalty as if it were part of the loss."""
    same: Tensor = _WithGradientOf.apply(values, penalty)  # type: ignore[no-untyped-call]
    return same
