"""Training cells on noisy digits: which images, how long, and what is recorded of it.

Everything random comes from a named seed: weights from (cell, seed), the order of the images and their noise from (seed,
epoch), so that all cells see the same images, and the noise of the validation and test images from nothing else at all.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.images import digits
from benchmarks.training import native
from benchmarks.training.batched import Sgd
from benchmarks.training.graph import Graph
from harness.seeds import derive

Counts = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Settings:
    """What decides the records, beside the network. Another value anywhere makes another benchmark."""

    noise: float = digits.NOISE
    batch: int = 128
    momentum: float = 0.9
    decay: float = 5e-4
    epochs: dict[str, int] = field(default_factory=lambda: {"short": 12, "long": 36})
    """Of each recipe, which is a whole cosine schedule of that length."""
    rates: dict[str, float] = field(default_factory=lambda: {"short": 0.0375, "long": 0.0125})
    """Initial learning rates. Low on purpose, and the same in sum over a training: a higher rate brings all good cells to the
    limit that the noise sets, where nothing but the seed tells them apart."""
    draws: int = digits.DRAWS

    def sgd(self, recipe: str) -> Sgd:
        """The optimiser of a recipe."""
        return Sgd(self.rates[recipe], self.momentum, self.decay)

    @property
    def digest(self) -> str:
        """Identifies the settings, 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Trained:
    """The records of one recipe, a row per network: correct answers as counts, losses in nats per image."""

    curve: Counts
    """Validation after each epoch on the first noise draw, of 384 images: (networks, epochs)."""
    valid: Counts
    """Validation after the last epoch over all draws, of 384 * draws: (networks,)."""
    test: Counts
    """Test after the last epoch over all draws, of 389 * draws: (networks,)."""
    valid_loss: npt.NDArray[np.float32]
    test_loss: npt.NDArray[np.float32]


class Task(ABC):
    """The images of the task on one device, and the training of cells, by number, on them.

    Args:
        compiled: whether to train with compiled kernels where there are any for this device, type and batch size.
    """

    name: str
    """Of the benchmark; all seeds are derived from it."""
    norms = 1e-5, 0.1
    """Epsilon and momentum of the batch norms."""

    def __init__(
        self,
        settings: Settings,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compiled: bool = True,
    ) -> None:
        self.settings, self.device, self.dtype = settings, torch.device(device), dtype
        self.compiled = compiled and self.device.type == "cpu" and native.fits(settings.batch, dtype)
        self._train, self._valid, self._test = digits.load()
        self._epochs: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._blocked: dict[tuple[int, int], native.Images] = {}

    def batches(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Images (steps, batch, 1, 8, 8) and labels (steps, batch) of one epoch, shuffled and under fresh noise.

        Kept after the first call: every cell asks for the same. A rest that fills no batch is left out.
        """
        key = seed, epoch
        if key not in self._epochs:
            order = torch.randperm(len(self._train.labels), generator=self._generator("order", seed, epoch))
            order = order[: len(order) // self.settings.batch * self.settings.batch]
            images = torch.from_numpy(self._train.images)[order]
            images = images + self.settings.noise * torch.randn(images.shape, generator=self._generator("noise", seed, epoch))
            images = images.to(self.device, self.dtype).view(-1, self.settings.batch, *images.shape[1:])
            labels = torch.from_numpy(self._train.labels)[order].to(self.device).view(-1, self.settings.batch)
            self._epochs[key] = images, labels
        return self._epochs[key]

    @cached_property
    def valid(self) -> tuple[Tensor, Tensor]:
        """Validation images under all draws, (draws * 384, 1, 8, 8), draw by draw, and labels."""
        return self._noisy(self._valid, "valid")

    @cached_property
    def test(self) -> tuple[Tensor, Tensor]:
        """Test images under all draws, (draws * 389, 1, 8, 8), draw by draw, and labels."""
        return self._noisy(self._test, "test")

    @property
    def sizes(self) -> dict[str, int]:
        """Images in each part, noise draws not counted."""
        return {"train": len(self._train.labels), "valid": len(self._valid.labels), "test": len(self._test.labels)}

    def blocked_batches(self, seed: int, epoch: int) -> native.Images:
        """:meth:`batches` as the compiled kernels read them; kept after the first call."""
        key = seed, epoch
        if key not in self._blocked:
            images, labels = self.batches(seed, epoch)
            self._blocked[key] = native.blocked(images.flatten(0, 1), labels.flatten(), self.settings.batch)
            del self._epochs[key]
        return self._blocked[key]

    @cached_property
    def _evaluated(self) -> tuple[native.Images, native.Images, native.Images]:
        """The first draw of the validation images, all their draws, and those of the test images."""
        (images, labels), one_draw, batch = self.valid, self.sizes["valid"], self.settings.batch
        first = native.blocked(images[:one_draw], labels[:one_draw], batch)
        return first, native.blocked(images, labels, batch), native.blocked(*self.test, batch)

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive(self.name, *names))

    def _noisy(self, part: digits.Part, name: str) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(part.images).repeat(self.settings.draws, 1, 1, 1)
        images = images + self.settings.noise * torch.randn(images.shape, generator=self._generator("draws", name))
        return images.to(self.device, self.dtype), torch.from_numpy(part.labels).repeat(self.settings.draws).to(self.device)

    @abstractmethod
    def graph(self, cell: int) -> Graph:
        """The network of a cell."""

    @abstractmethod
    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        """The parameters that a cell starts from, by name."""

    @abstractmethod
    def plain(self, cell: int, seed: int) -> nn.Module:
        """The untrained network of a cell alone, in PyTorch."""

    @abstractmethod
    def train_in_torch(self, cells: Sequence[int], seeds: Sequence[int], recipe: str) -> Trained:
        """:meth:`train` where there are no compiled kernels, or on a GPU."""

    def train(self, cells: Sequence[int], seeds: Sequence[int], recipe: str) -> Trained:
        """Trains every cell with every seed; rows are cell by cell, seed by seed within a cell."""
        if not self.compiled:
            return self.train_in_torch(cells, seeds, recipe)
        return stacked([self._train_compiled(cell, seed, recipe) for cell in cells for seed in seeds])

    def compiled_network(self, cell: int, seed: int) -> native.Network:
        """An untrained network on the compiled kernels."""
        return native.Network(self.graph(cell), self.initial(cell, seed), self.settings.batch, self.dtype, *self.norms)

    def _train_compiled(self, cell: int, seed: int, recipe: str) -> Trained:
        network, (first, valid, test) = self.compiled_network(cell, seed), self._evaluated
        curve: list[int] = []
        native.train(
            network,
            self.settings.epochs[recipe],
            self.settings.sgd(recipe),
            lambda epoch: self.blocked_batches(seed, epoch),
            lambda _: curve.append(network.evaluate(first)[0]),
        )
        (valid_correct, valid_loss), (test_correct, test_loss) = network.evaluate(valid), network.evaluate(test)
        return Trained(
            np.array([curve], np.uint16),
            np.array([valid_correct], np.uint16),
            np.array([test_correct], np.uint16),
            np.array([valid_loss / len(self.valid[1])], np.float32),
            np.array([test_loss / len(self.test[1])], np.float32),
        )


def stacked(rows: Sequence[Trained]) -> Trained:
    """The rows one below the other."""
    return Trained(*(np.concatenate([getattr(row, part.name) for row in rows]) for part in fields(Trained)))
