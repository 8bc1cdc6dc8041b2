"""Recipes as data: the length, the rate, the regularisation and the width of a language model's training from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks import recipes as base
from benchmarks.darts_rnn.blocks import Lengths
from benchmarks.darts_rnn.dropout import Dropout
from harness.errors import UserError


@dataclass(frozen=True)
class Recipe(base.Recipe):
    """One training recipe. The defaults are DARTS' for Penn Treebank. The names of dropouts are those of its code."""

    name: str = "rnn_darts"
    epochs: int = 8000
    streams: int = 64
    """Streams of the training text."""
    width: int = 850
    """Number of hidden units, which is the length of an embedding."""
    lr: float = 20.0
    """Learning rate of a block of the base length; others have it in proportion to their length."""
    weight_decay: float = 8e-7
    clip: float = 0.25
    """Largest norm of the gradient."""
    dropoute: float = 0.1
    dropouti: float = 0.2
    dropoutx: float = 0.75
    dropouth: float = 0.25
    dropout: float = 0.75
    slowness: float = 1e-3
    """Factor of the mean squared change of the hidden state from a token to the next."""
    length: int = 35
    """Base length of a block, rows."""
    full: float = 0.95
    """Probability of the base length as the mean; else half of it."""
    spread: float = 5.0
    """Standard deviation of the length; 0: blocks have their mean length."""
    patience: int = 5
    """SGD becomes averaged SGD once the validation loss exceeds the smallest of all but the last ``patience`` epochs."""
    rollbacks: int = 10
    """Number of times that a training whose loss is not finite may return to its best epoch (D-96)."""
    valid_streams: int = 10
    """Streams of the validation text."""
    test_streams: int = 1
    """Streams of the test text."""

    def __post_init__(self) -> None:
        for field in ("epochs", "streams", "width", "lr", "clip", "length", "patience", "valid_streams", "test_streams"):
            if not getattr(self, field) > 0:
                raise UserError(f"recipe {self.name}: {field} = {getattr(self, field)} must be above zero")
        for field in ("dropoute", "dropouti", "dropoutx", "dropouth", "dropout"):
            if not 0 <= getattr(self, field) < 1:
                raise UserError(f"recipe {self.name}: {field} = {getattr(self, field)} must be in [0, 1)")

    @property
    def regularisation(self) -> Dropout:
        return Dropout(self.dropoute, self.dropouti, self.dropoutx, self.dropouth, self.dropout)

    @property
    def lengths(self) -> Lengths:
        return Lengths(self.length, self.full, self.spread)


@cache
def recipes() -> dict[str, Recipe]:
    """Return every recipe of ``recipes.toml`` by name."""
    return base.read(Path(__file__).with_name("recipes.toml"), Recipe)


def recipe(name: str) -> Recipe:
    """Return the recipe with this name. Raises :class:`UserError` if there is none."""
    return base.pick(recipes(), name)
