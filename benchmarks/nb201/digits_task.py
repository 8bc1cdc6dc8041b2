"""The task of nb201/digits: the network, its settings, and how many cells are trained at once by torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.nb201.batched_network import BatchedNetwork
from benchmarks.nb201.graph import network_graph
from benchmarks.nb201.network import BN_EPS, BN_MOMENTUM, DIGITS, Macro, Network, initial_parameters
from benchmarks.nb201.space import official_order
from benchmarks.training import digits
from benchmarks.training.batched import Batches, evaluate, train
from benchmarks.training.digits import Trained
from benchmarks.training.graph import Graph
from harness.seeds import derive

NAME = "nb201/digits"


@dataclass(frozen=True)
class Settings(digits.Settings):
    """Those of :class:`benchmarks.training.digits.Settings`, and the network."""

    macro: Macro = DIGITS


SETTINGS = Settings()


class Task(digits.Task):
    """Cells are numbered by their official index."""

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

    def graph(self, cell: int) -> Graph:
        return network_graph(official_order()[cell], self.settings.macro)

    def initial(self, cell: int, seed: int) -> dict[str, Tensor]:
        return initial_parameters(official_order()[cell], self.settings.macro, derive(NAME, "init", cell, seed))

    def plain(self, cell: int, seed: int) -> Network:
        return Network(official_order()[cell], self.settings.macro).load(self.initial(cell, seed))

    def side_by_side(self, seeds: Sequence[int], epoch: int) -> Batches:
        """The epoch of each of these seeds in the form that a batched network trains on."""
        images, labels = zip(*(self.batches(seed, epoch) for seed in seeds), strict=True)
        steps, batch, _, height, width = images[0].shape
        stacked = torch.stack([image.squeeze(2) for image in images], dim=-1)  # replicas last: channels last in memory
        assert stacked.shape == (steps, batch, height, width, len(seeds))
        return stacked.permute(0, 1, 4, 2, 3), torch.stack(labels, dim=1)

    def network(self, cells: Sequence[int], seeds: Sequence[int]) -> BatchedNetwork:
        """Untrained networks for torch, replica r being ``cells[r]`` with ``seeds[r]``."""
        initial = [self.initial(cell, seed) for cell, seed in zip(cells, seeds, strict=True)]
        return BatchedNetwork([official_order()[cell] for cell in cells], self.settings.macro, initial, self.dtype, self.device)

    def train_in_torch(self, cells: Sequence[int], seeds: Sequence[int], recipe: str) -> Trained:
        """All of them at once."""
        network = self.network([cell for cell in cells for _ in seeds], [seed for _ in cells for seed in seeds])
        one_draw = self.sizes["valid"]
        curve: list[Tensor] = []

        def batches(epoch: int) -> Batches:
            images, labels = self.side_by_side(seeds, epoch)
            if len(cells) > 1:
                images = images.permute(0, 1, 3, 4, 2).repeat(1, 1, 1, 1, len(cells)).permute(0, 1, 4, 2, 3)
                labels = labels.repeat(1, len(cells), 1)
            return images, labels

        def after_epoch(_: int) -> None:
            images, labels = self.valid
            curve.append(evaluate(network, images[:one_draw], labels[:one_draw])[0])

        train(network, self.settings.epochs[recipe], self.settings.sgd(recipe), batches, after_epoch)
        valid, valid_loss = evaluate(network, *self.valid)
        test, test_loss = evaluate(network, *self.test)
        return Trained(
            torch.stack(curve, 1).cpu().numpy().astype(np.uint16),
            valid.cpu().numpy().astype(np.uint16),
            test.cpu().numpy().astype(np.uint16),
            (valid_loss / len(self.valid[1])).cpu().numpy().astype(np.float32),
            (test_loss / len(self.test[1])).cpu().numpy().astype(np.float32),
        )
