"""A text as parallel streams, read in blocks in the order of the text. Imports no torch.

A text of n tokens has B streams of n // B consecutive tokens; the tail is dropped. A block is the tokens of some consecutive
rows of all streams. The model predicts the token of the next row.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.darts_rnn.corpus import Ids


def streams(ids: Ids, count: int) -> Ids:
    """Return a text as (rows, streams).

    Raises:
        ValueError: a stream would have less than two tokens.
    """
    rows = len(ids) // count
    if rows < 2:
        raise ValueError(f"{len(ids)} tokens are too few for {count} streams of two tokens or more")
    return np.ascontiguousarray(ids[: rows * count].reshape(count, rows).T)


class Block(NamedTuple):
    """The rows of a block."""

    start: int
    length: int
    """Number of rows that are read; their targets are one row further."""
    factor: float
    """Factor of the learning rate: the drawn length over the base length."""


@dataclass(frozen=True)
class Lengths:
    """The rule of the lengths of training blocks. The defaults are those of DARTS' training from scratch.

    With probability ``full`` the mean length is ``base``, else half of it. A normal deviate with the standard deviation
    ``spread`` is added. The length is at least 5 and at most ``base + 20``; with a spread of 0 it is the mean, rounded down.
    """

    base: int = 35
    full: float = 0.95
    spread: float = 5.0

    def blocks(self, rows: int, rng: random.Random) -> Iterator[Block]:
        """Yield the blocks of one pass over a text of ``rows`` rows. The last one may be shorter, at the rate of its length."""
        start = 0
        while start < rows - 2:
            mean = self.base if rng.random() < self.full else self.base / 2
            length = int(mean)
            if self.spread:
                length = min(max(5, int(rng.gauss(mean, self.spread))), self.base + 20)
            yield Block(start, min(length, rows - 1 - start), length / self.base)
            start += length


def pieces(rows: int, length: int) -> Iterator[Block]:
    """Yield the blocks of an evaluation, all of one length; the last one may be shorter."""
    for start in range(0, rows - 1, length):
        yield Block(start, min(length, rows - 1 - start), 1.0)
