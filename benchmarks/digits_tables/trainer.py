"""The training of cells on noisy digits: the images, the steps, and the records.

Everything random comes from a named seed. Weights depend on (cell, seed). The order of the images and their noise depend on
(seed, epoch), so that all cells see the same images. The noise of the evaluated images is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.digits_tables import native
from benchmarks.digits_tables.recipe import TableRecipe
from benchmarks.digits_tables.schedule import SgdSchedule
from benchmarks.images import digits
from harness.seeds import derive

Counts = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Trained:
    """The records of trainings by one recipe, a row per training: counts of correct answers, losses in nats per image."""

    curve: Counts
    """Validation after each epoch, on the 384 images of the first noise draw: (trainings, epochs)."""
    valid: Counts
    """Validation after the last epoch, on the 384 * draws images of all draws: (trainings,)."""
    test: Counts
    """Test after the last epoch, on the 389 * draws images of all draws: (trainings,)."""
    valid_loss: npt.NDArray[np.float32]
    test_loss: npt.NDArray[np.float32]

    @classmethod
    def of(cls, curve: Sequence[int], valid: tuple[int, float], test: tuple[int, float]) -> Trained:
        """Return the records of one training.

        Args:
            curve: correct answers after each epoch.
            valid, test: correct answers and mean loss after the last epoch.
        """
        return cls(
            np.array([curve], np.uint16),
            np.array([valid[0]], np.uint16),
            np.array([test[0]], np.uint16),
            np.array([valid[1]], np.float32),
            np.array([test[1]], np.float32),
        )


class Trainer:
    """The training of a recipe's cells on one thread of a CPU.

    Args:
        recipe: the recipe of the table.
        dtype: type of weights and images.
        compiled: use the compiled kernels if they support this type and batch size. The networks in PyTorch are the
            reference: in float64 both give the same records.
    """

    def __init__(self, recipe: TableRecipe, dtype: torch.dtype = torch.float32, compiled: bool = True) -> None:
        self.recipe, self.settings, self.dtype = recipe, recipe.settings, dtype
        self.compiled = compiled and native.fits(self.settings.batch, dtype)
        self._train, self._valid, self._test = digits.load()
        self._epochs: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._blocked: dict[tuple[int, int], native.Images] = {}

    def batches(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return images (steps, batch, 1, 8, 8) and labels (steps, batch) of one epoch, shuffled and under fresh noise.

        They are cached, because every cell uses the same batches. Images that do not fill a batch are omitted.
        """
        key = seed, epoch
        if key not in self._epochs:
            order = torch.randperm(len(self._train.labels), generator=self._generator("order", seed, epoch))
            order = order[: len(order) // self.settings.batch * self.settings.batch]
            images = torch.from_numpy(self._train.images)[order]
            images = images + self.settings.noise * torch.randn(images.shape, generator=self._generator("noise", seed, epoch))
            images = images.to(self.dtype).view(-1, self.settings.batch, *images.shape[1:])
            labels = torch.from_numpy(self._train.labels)[order].view(-1, self.settings.batch)
            self._epochs[key] = images, labels
        return self._epochs[key]

    def blocked_batches(self, seed: int, epoch: int) -> native.Images:
        """Return :meth:`batches` in the layout of the compiled kernels, cached."""
        key = seed, epoch
        if key not in self._blocked:
            images, labels = self.batches(seed, epoch)
            self._blocked[key] = native.blocked(images.flatten(0, 1), labels.flatten(), self.settings.batch)
            del self._epochs[key]
        return self._blocked[key]

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
        """Number of images in each part, noise draws not counted."""
        return {"train": len(self._train.labels), "valid": len(self._valid.labels), "test": len(self._test.labels)}

    @cached_property
    def _evaluated(self) -> tuple[native.Images, native.Images, native.Images]:
        """The validation images of the first draw and of all draws, and the test images of all draws."""
        (images, labels), one_draw, batch = self.valid, self.sizes["valid"], self.settings.batch
        first = native.blocked(images[:one_draw], labels[:one_draw], batch)
        return first, native.blocked(images, labels, batch), native.blocked(*self.test, batch)

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive(self.recipe.bundle.name, *names))

    def _noisy(self, part: digits.Part, name: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(digits.draws_seed(name, self.recipe.bundle.name))
        images = torch.from_numpy(part.images).repeat(self.settings.draws, 1, 1, 1)
        images = images + self.settings.noise * torch.randn(images.shape, generator=generator)
        return images.to(self.dtype), torch.from_numpy(part.labels).repeat(self.settings.draws)

    def train(self, cells: Sequence[int], seeds: Sequence[int], recipe: str) -> Trained:
        """Train every cell with every seed, and return the records: a row per cell and seed, sorted by cell as given.

        Args:
            cells: numbers of the cells.
            seeds: the seeds.
            recipe: ``short`` or ``long``.
        """
        train = self._train_compiled if self.compiled else self._train_plain
        rows = [train(cell, seed, recipe) for cell in cells for seed in seeds]
        return Trained(*(np.concatenate([getattr(row, field.name) for row in rows]) for field in fields(Trained)))

    def network(self, cell: int, seed: int) -> native.Network:
        """Return an untrained network on the compiled kernels."""
        eps, momentum = self.recipe.norms
        initial = self.recipe.initial(cell, seed)
        return native.Network(self.recipe.graph(cell), initial, self.settings.batch, self.dtype, eps, momentum)

    def plain_network(self, cell: int, seed: int) -> nn.Module:
        """Return the same untrained network in PyTorch."""
        network = self.recipe.plain(cell)
        network.load_state_dict(self.recipe.initial(cell, seed), strict=False)  # norms keep their initial statistics
        return network.to(self.dtype)

    def _train_compiled(self, cell: int, seed: int, recipe: str) -> Trained:
        network, (first, valid, test) = self.network(cell, seed), self._evaluated
        curve: list[int] = []
        native.train(
            network,
            self.settings.epochs[recipe],
            SgdSchedule.of(self.settings, recipe),
            lambda epoch: self.blocked_batches(seed, epoch),
            lambda _: curve.append(network.evaluate(first)[0]),
        )
        (valid_correct, valid_loss), (test_correct, test_loss) = network.evaluate(valid), network.evaluate(test)
        means = valid_loss / len(self.valid[1]), test_loss / len(self.test[1])
        return Trained.of(curve, (valid_correct, means[0]), (test_correct, means[1]))

    def _train_plain(self, cell: int, seed: int, recipe: str) -> Trained:
        network = self.plain_network(cell, seed)
        epochs, sgd = self.settings.epochs[recipe], SgdSchedule.of(self.settings, recipe)
        optimiser = torch.optim.SGD(network.parameters(), sgd.rate, sgd.momentum, weight_decay=sgd.decay, nesterov=True)
        one_draw = self.sizes["valid"]
        curve = []
        for epoch in range(epochs):
            images, labels = self.batches(seed, epoch)
            network.train()
            for step, (x, y) in enumerate(zip(images, labels, strict=True)):
                optimiser.param_groups[0]["lr"] = sgd.at((epoch + step / len(images)) / epochs)
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(x), y).backward()
                optimiser.step()
            curve.append(_evaluate(network, self.valid[0][:one_draw], self.valid[1][:one_draw])[0])
        return Trained.of(curve, _evaluate(network, *self.valid), _evaluate(network, *self.test))


def _evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[int, float]:
    """Return the number of correct answers and the mean cross entropy."""
    network.eval()
    with torch.inference_mode():
        logits = network(images)
        loss = torch.nn.functional.cross_entropy(logits.double(), labels)
        return int((logits.argmax(1) == labels).sum()), float(loss)
