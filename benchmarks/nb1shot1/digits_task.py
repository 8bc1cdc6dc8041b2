"""The task of nb1shot1/1-digits: NAS-Bench-101's network around a cell of space 1, trained on noisy digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.nb1shot1.cell import Cell
from benchmarks.nb1shot1.graph import network_graph
from benchmarks.nb1shot1.macro import DIGITS, Macro
from benchmarks.nb1shot1.network import BN_EPS, BN_MOMENTUM, Network, initial_parameters
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.training import digits
from benchmarks.training.digits import Trained
from benchmarks.training.graph import Graph
from harness.seeds import derive

NAME = "nb1shot1/1-digits"
SPACE = NB1Shot1Space(1)


@dataclass(frozen=True)
class Settings(digits.Settings):
    """Those of :class:`benchmarks.training.digits.Settings`, and the network."""

    macro: Macro = DIGITS


SETTINGS = Settings()


class Task(digits.Task):
    """Cells are numbered as architectures of space 1."""

    name = NAME
    norms = BN_EPS, BN_MOMENTUM
    settings: Settings

    def __init__(
        self,
        settings: Settings = SETTINGS,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compiled: bool = True,
    ) -> None:
        super().__init__(settings, device, dtype, compiled)

    def cell(self, number: int) -> Cell:
        """NAS-Bench-101's cell of an architecture."""
        return SPACE.cell(SPACE.at(number))

    def graph(self, cell: int) -> Graph:
        return network_graph(self.cell(cell), self.settings.macro)

    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        return initial_parameters(self.cell(cell), self.settings.macro, derive(NAME, "init", cell, seed))

    def plain(self, cell: int, seed: int) -> Network:
        return Network(self.cell(cell), self.settings.macro).load(self.initial(cell, seed))

    def train_in_torch(self, cells: Sequence[int], seeds: Sequence[int], recipe: str) -> Trained:
        """One after another, in PyTorch."""
        return digits.stacked([self._train_plain(cell, seed, recipe) for cell in cells for seed in seeds])

    def _train_plain(self, cell: int, seed: int, recipe: str) -> Trained:
        network = self.plain(cell, seed).to(self.device, self.dtype)
        epochs, sgd = self.settings.epochs[recipe], self.settings.sgd(recipe)
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
        (valid, valid_loss), (test, test_loss) = _evaluate(network, *self.valid), _evaluate(network, *self.test)
        return Trained(
            np.array([curve], np.uint16),
            np.array([valid], np.uint16),
            np.array([test], np.uint16),
            np.array([valid_loss], np.float32),
            np.array([test_loss], np.float32),
        )


def _evaluate(network: Network, images: Tensor, labels: Tensor) -> tuple[int, float]:
    """Correct answers and mean cross entropy."""
    network.eval()
    with torch.inference_mode():
        logits = network(images)
        loss = torch.nn.functional.cross_entropy(logits.double(), labels)
        return int((logits.argmax(1) == labels).sum()), float(loss)
