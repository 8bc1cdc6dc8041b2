"""The task of a weight-sharing search for recurrent cells: two texts, read in order, and the supernet.

No reference machine has timed this space. A search is therefore charged epochs and multiply-adds, but no seconds; its real
time is measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from benchmarks.darts_rnn.blocks import Block, Lengths
from benchmarks.darts_rnn.corpus import corpus
from benchmarks.darts_rnn.dropout import Dropout
from benchmarks.darts_rnn.supernet import Supernet
from harness.device import prepare
from harness.errors import UserError
from harness.seeds import derive
from harness.training import Meter
from harness.weight_sharing import Pairing, Rules

if TYPE_CHECKING:
    from harness.weight_sharing import Batch

EVALUATED: Final = 512
"""Tokens of a batch in which methods evaluate on the full validation text; its size is a multiple of this."""
LEARNED: Final = 1.05
"""A supernet that is at most this many times as accurate as naming the commonest token has learned nothing."""


@dataclass(frozen=True)
class Settings:
    """The supernet of a data set, and its blocks. The defaults are those of DARTS' search on Penn Treebank."""

    width: int = 300
    length: int = 35
    """Rows of a block; with probability .05 a block has half of them, at half the rate (D-97)."""
    dropout: Dropout = field(default_factory=Dropout)
    slowness: float = 1e-3
    evaluated: int = 64
    """Rows of a batch in which methods evaluate."""


SETTINGS: Final = {
    "ptb": Settings(),
    "ptb-small": Settings(32, 20, Dropout(0.0, 0.0, 0.2, 0.1, 0.2)),
    "pride": Settings(32, 10, Dropout(0.0, 0.0, 0.2, 0.1, 0.2), evaluated=16),
}


class RnnTask:
    """See :class:`harness.weight_sharing.Task`. An image is a token, and its label is the next token of the text.

    A batch of n images has ``n // length`` streams of ``length`` tokens, at least two streams. The batches of an epoch are in
    the order of the text, because the hidden state is carried; nothing is shuffled or augmented. The training text trains
    weights, and the validation text the architecture. ``full`` is both, one after the other. As in DARTS' code, candidates are
    compared by their loss, which is the logarithm of the perplexity. Guessing names the commonest token; as a
    text becomes less surprising, a network is only slowly more accurate than that (:data:`LEARNED`).

    Args:
        dataset: a name of :data:`SETTINGS`.
        world: seed of the first weights, of the lengths of blocks and of the dropouts.
        device: device of texts and supernet.
        charge: the meter of the search.

    Raises:
        UserError: the validation text is too short for an evaluation.
    """

    def __init__(self, dataset: str, world: int, device: str, charge: Meter, settings: Settings | None = None) -> None:
        prepare(device)
        data, self._settings = corpus(dataset), settings or SETTINGS[dataset]
        train, valid = data.searched(), data.part("valid")
        self.name, self.device, self.classes = dataset, torch.device(device), data.types
        self._text = torch.from_numpy(np.concatenate([train, valid])).to(self.device)
        self._parts = {
            "train": (0, len(train)),
            "valid": (len(train), len(valid)),
            "full": (0, len(train) + len(valid)),
        }
        commonest = float(np.bincount(valid).max() / len(valid))
        self.rules = Rules("loss", arch_beta=0.9, unrolled_clipped=True, guessing=100 * commonest, learned=LEARNED)
        self._world, self._meter = world, charge
        self.rate_factor = 1.0
        self._noise = torch.Generator()
        evaluated = EVALUATED * self._evaluations("valid", EVALUATED)
        if not evaluated:
            raise UserError(f"the validation text of {data.name} has {len(valid)} tokens, too few to evaluate {EVALUATED}")
        self.images = {"train": len(train), "valid": evaluated, "full": len(train) + len(valid), "plain": evaluated}

    def supernet(
        self,
        *,
        none: bool = True,
        track: bool = True,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        channels: int = 0,
    ) -> Supernet:
        """Return the supernet; see :meth:`harness.weight_sharing.Task.supernet`.

        There is one norm, so ``track_outside`` and ``plain_last`` have no effect.

        Args:
            channels: number of hidden units; 0: as in the searches.

        Raises:
            ValueError: a bias is requested; no matrix of a cell has one.
        """
        if bias:
            raise ValueError("no matrix of a recurrent cell has a bias")
        net = Supernet(
            self._text,
            self.classes,
            channels or self._settings.width,
            penalised=self.images["train"],
            none=none,
            track=track,
            dropout=self._settings.dropout,
            slow=self._settings.slowness,
            noise=self._noise,
            seed=derive("supernet", self._world),
            charge=self._charge,
            meter=self._meter,
        )
        net.module.to(self.device)
        return net

    def _charge(self, macs: float, tokens: int, training: bool, meter: Meter) -> None:
        meter(epochs=tokens / self.images["train"] if training else 0.0, macs=tokens * macs)

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> Iterator[Batch]:
        """Yield the blocks of a text in order; see the contract.

        Args:
            stream: only the dropouts depend on it.
            cutout: it has no meaning here.
        """
        self._noise.manual_seed(derive("text", self._world, part, stream, epoch))
        streams, length = self._shape(batch, self._settings.length)
        for block in self._blocks(part, streams, length, epoch):
            yield self._block(part, streams, block.start, block.length)

    def pairs(self, batch: int, epoch: int, pairing: Pairing = "space") -> Iterator[tuple[Batch, Batch]]:
        """Yield training blocks in order, each with a block of the validation text, which begins again after its end.

        Validation blocks have the full length, so the one after a short training block reads some tokens again.
        Every ``pairing`` is this rule of DARTS' code, because a text has no order but its own.
        """
        self._noise.manual_seed(derive("text", self._world, "pairs", epoch))
        streams, length = self._shape(batch, self._settings.length)
        rows = self._rows("valid", streams)
        for block in self._blocks("train", streams, length, epoch):
            valid = self._block("valid", streams, block.start % (rows - 1), length)
            yield self._block("train", streams, block.start, block.length), valid

    def plain(self, part: str, batch: int, number: int) -> Batch:
        """Return batch ``number`` of a text for evaluation: consecutive blocks of equal size. Numbers wrap around."""
        size = min(batch, self.images["plain"] if part == "valid" else self._parts[part][1])
        streams, length = self._shape(size, self._settings.evaluated)
        return self._block(part, streams, number % max(self._evaluations(part, size), 1) * length, length)

    @staticmethod
    def _shape(batch: int, length: int) -> tuple[int, int]:
        """Return the streams and the rows of a batch: two streams at least, because a norm needs two values."""
        streams = max(batch // length, 2)
        return streams, max(min(batch // streams, length), 1)

    def _rows(self, part: str, streams: int) -> int:
        """Return the rows of a text in this number of streams.

        Raises:
            UserError: they are too few for a prediction.
        """
        rows = self._parts[part][1] // streams
        if rows < 2:
            raise UserError(f"a batch of {streams} streams is too large for the {self._parts[part][1]} tokens of {part}")
        return rows

    def _blocks(self, part: str, streams: int, length: int, epoch: int) -> Iterator[Block]:
        """Yield an epoch's blocks, and set the rate's factor. A rest of a single prediction is left out, as in DARTS' code."""
        rng = random.Random(derive("lengths", self._world, part, epoch))
        for block in Lengths(length, spread=0.0).blocks(max(self._rows(part, streams), 3), rng):
            self.rate_factor = block.factor
            yield block

    def _evaluations(self, part: str, batch: int) -> int:
        """Return the number of evaluation batches of equal size in a text."""
        streams, length = self._shape(batch, self._settings.evaluated)
        return (self._parts[part][1] // streams - 1) // length

    def _block(self, part: str, streams: int, start: int, length: int) -> Batch:
        """Return the places of a block in the text and their next tokens, stream by stream; shorter at the end of the text."""
        first, rows = self._parts[part][0], self._rows(part, streams)
        length = min(length, rows - 1 - start)
        row = torch.arange(start, start + length, device=self.device)
        places = (first + torch.arange(streams, device=self.device)[:, None] * rows + row).flatten()
        return places, self._text[places + 1]
