"""The five dropouts of the language model. Each mask is drawn once for a block of text and is equal for all of its tokens.

Recipes state the probabilities, so this module imports torch only to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Masks(NamedTuple):
    """Factors of one block: 0, or 1 / (1 - p) with the probability p of dropping. None: factor 1."""

    words: Tensor | None = None
    """(types, 1), of the rows of the embedding."""
    inputs: Tensor | None = None
    """(streams, width), of the cell's input."""
    hidden: Tensor | None = None
    """(streams, width), of every state before its matrix: the hidden state and the nodes."""
    outputs: Tensor | None = None
    """(streams, width), of the cell's output before the decoder."""


NO_MASKS = Masks()


@dataclass(frozen=True)
class Dropout:
    """The probabilities of dropping, by the names of DARTS' code. The defaults are those of its search."""

    dropoute: float = 0.0
    """Words of the embedding."""
    dropouti: float = 0.2
    """Embedded words."""
    dropoutx: float = 0.75
    """The cell's input, after ``dropouti``."""
    dropouth: float = 0.25
    """States before their matrices."""
    dropout: float = 0.75
    """The cell's output before the decoder."""

    def draw(self, streams: int, width: int, types: int, generator: torch.Generator, device: torch.device) -> Masks:
        """Return the masks of one block. The generator is on the CPU, so that every device draws the same."""
        import torch

        from harness.device import upload

        def mask(probability: float, *shape: int) -> Tensor | None:
            if not probability:
                return None
            drawn = torch.rand(shape, generator=generator) >= probability
            return upload(drawn / (1 - probability), device)

        words = mask(self.dropoute, types, 1)
        embedded, inputs = mask(self.dropouti, streams, width), mask(self.dropoutx, streams, width)
        both = embedded * inputs if embedded is not None and inputs is not None else embedded if inputs is None else inputs
        return Masks(words, both, mask(self.dropouth, streams, width), mask(self.dropout, streams, width))


def masked(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the values times the mask."""
    return values if mask is None else values * mask
