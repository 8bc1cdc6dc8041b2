"""Recipes as data: the length, the learning rates, the regularisation and the network of a training from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from benchmarks import recipes as base
from benchmarks.darts.macro import ExtraNorm, Macro, Stem
from harness.errors import UserError


@dataclass(frozen=True)
class Recipe(base.Recipe):
    """One training recipe. The defaults are DARTS' for CIFAR-10."""

    name: str = "darts"
    epochs: int = 600
    batch: int = 96
    lr: float = 0.025
    """Learning rate at the start."""
    schedule: Literal["cosine", "linear", "exponential"] = "cosine"
    gamma: float = 0.97
    """Factor of the learning rate per epoch in the exponential schedule."""
    warmup: int = 0
    """Number of first epochs in which the learning rate is multiplied by (epoch + 1) / warmup."""
    tail: int = 0
    """Number of last epochs in which the slope of the linear schedule is ``tail`` times flatter."""
    momentum: float = 0.9
    nesterov: bool = False
    """CoNAS' table says yes, its code says no (D-04)."""
    weight_decay: float = 3e-4
    clip: float = 5.0
    """Largest norm of the gradient; 0: no clipping."""
    drop_path: float = 0.2
    """Final probability that an operation is dropped for an image. It rises linearly from 0: times epoch / epochs."""
    auxiliary: float = 0.4
    """Weight of the auxiliary head's loss; 0: no head."""
    cutout: int = 16
    """Side of the square, pixels."""
    label_smoothing: float = 0.0
    width: int = 36
    depth: int = 20
    stem: Stem = "cifar"
    extra_norm: ExtraNorm = "none"
    """Norms after operations without weights (D-60); see :class:`benchmarks.darts.macro.Macro`."""
    cifar100_statistics: Literal["cifar10", "own"] = "cifar10"
    """Mean and standard deviation that standardise CIFAR-100: those of CIFAR-10, as in PC-DARTS' script, or its own (D-61)."""
    evaluate_every: int = 1
    """Epochs between two evaluations; the last epoch is always evaluated."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.evaluate_every < 1 or self.lr <= 0:
            raise UserError(f"recipe {self.name}: epochs, batch, evaluate_every and lr must be above zero")
        for name, kind in get_type_hints(Recipe).items():
            if get_origin(kind) is Literal and (value := getattr(self, name)) not in get_args(kind):
                raise UserError(f"recipe {self.name}: {name} {value!r} is not one of {', '.join(get_args(kind))}")
        if not 0 <= self.drop_path < 1 or self.tail >= self.epochs:
            raise UserError(f"recipe {self.name}: drop_path must be in [0, 1), and tail shorter than the training")

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        if self.schedule == "cosine":
            rate = self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        elif self.schedule == "exponential":
            rate = self.lr * self.gamma**epoch
        else:
            left, falling = self.epochs - epoch, self.epochs - self.tail
            rate = self.lr * (left - self.tail) / falling if left > self.tail else self.lr * left / (falling * self.tail)
        return rate * min(1.0, (epoch + 1) / self.warmup) if self.warmup else rate

    def drop_probability(self, epoch: int) -> float:
        """Return the probability of drop-path in an epoch, counted from 0."""
        return self.drop_path * epoch / self.epochs

    def statistics(self, dataset: str) -> str:
        """Return ``own``, or the data set whose mean and standard deviation standardise the images of ``dataset``."""
        return self.cifar100_statistics if dataset == "cifar100" else "own"

    def macro(self, classes: int, channels: int, size: int) -> Macro:
        """Return the network for these images.

        Args:
            classes: number of classes.
            channels: channels of an image.
            size: height and width of an image, pixels.

        Raises:
            UserError: the images are too small or cannot be halved often enough.
        """
        try:
            return Macro(self.width, self.depth, classes, channels, size, self.stem, self.auxiliary > 0, self.extra_norm)
        except ValueError as error:
            raise UserError(f"recipe {self.name}: {error}") from None


@cache
def recipes() -> dict[str, Recipe]:
    """Return every recipe of ``recipes.toml`` by name."""
    return base.read(Path(__file__).with_name("recipes.toml"), Recipe)


def recipe(name: str) -> Recipe:
    """Return the recipe with this name. Raises :class:`UserError` if there is none."""
    return base.pick(recipes(), name)
