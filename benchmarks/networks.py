"""What the networks of several search spaces share: initial weights, norms without statistics, charged passes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from harness.training import Meter
from harness.weight_sharing import Active, Decision, Metered, everything

Cell = TypeVar("Cell")
"""What the cells of one search space compute in one pass."""


def free(*_: float, **amounts: float) -> None:
    """Charge nothing: the meter of a supernet that no search uses."""


class SupernetBase(Metered, ABC, Generic[Cell]):
    """The call of :class:`harness.weight_sharing.Supernet`: it charges each pass before it runs the network.

    A subclass translates options and weights for its network (``_cell``), states the price (``_pay``) and runs the network
    (``_logits``).

    Args:
        decisions: the architecture decisions of the space.
        module: the network; its parameters get the seed's initial values.
        cells: number of cells in the network.
        seed: seed of the initial weights.
        meter: takes the price of each pass.
    """

    def __init__(self, decisions: tuple[Decision, ...], module: nn.Module, cells: int, seed: int, meter: Meter) -> None:
        self.decisions, self.module, self.cells, self._meter = decisions, module, cells, meter
        self._everything = everything(decisions)
        initialise(module, seed)

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | Sequence[Sequence[Tensor]] | None = None,
        active: Active | list[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        cells = self._cells(weights, active, straight_through, images.device)
        if self.metered:
            self._pay(cells, len(images), torch.is_grad_enabled(), self._meter)
        return self._logits(images, cells)

    def price(
        self,
        images: int,
        weights: Sequence[Tensor] | Sequence[Sequence[Tensor]] | None = None,
        active: Active | list[Active] | None = None,
        *,
        training: bool = False,
    ) -> Mapping[str, float]:
        """See the contract."""
        prices: dict[str, float] = {}

        def meter(queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
            for name, amount in {"queries": queries, "seconds": seconds, "epochs": epochs, "macs": macs, **extra}.items():
                prices[name] = prices.get(name, 0.0) + amount

        self._pay(self._cells(weights, active, False, torch.device("cpu")), images, training, meter)
        return prices

    def _cells(
        self,
        weights: Sequence[Tensor] | Sequence[Sequence[Tensor]] | None,
        active: Active | list[Active] | None,
        straight_through: bool,
        device: torch.device,
    ) -> list[Cell]:
        """Return what a pass computes, once for the whole network or once for each cell of the network."""
        options = active if isinstance(active, list) else [active]
        shared = not weights or isinstance(weights[0], Tensor)
        tables = cast(Sequence[Sequence[Tensor] | None], [weights] if shared else weights)
        if not {len(options), len(tables)} <= {1, self.cells}:
            raise ValueError(f"{len(options)} sets of options and {len(tables)} of weights for {self.cells} cells")
        return [
            self._cell(run or self._everything, table, straight_through, device)
            for run, table in islice(zip(cycle(options), cycle(tables), strict=False), max(len(options), len(tables)))
        ]

    @abstractmethod
    def _cell(self, active: Active, weights: Sequence[Tensor] | None, straight_through: bool, device: torch.device) -> Cell:
        """Return what a cell computes with these options and weights."""

    @abstractmethod
    def _pay(self, cells: Sequence[Cell], images: int, training: bool, meter: Meter) -> None:
        """Charge to ``meter`` one pass of ``images`` images: seconds (if the space has them), epochs (training), multiply-adds.

        ``cells`` has one entry for the whole network, or one for each cell of the network. Multiply-adds are those of the
        forward pass; they are the same with and without gradients.
        """

    @abstractmethod
    def _logits(self, images: Tensor, cells: Sequence[Cell]) -> Tensor:
        """Return the logits (batch, classes) of one pass."""


def initialise(module: nn.Module, seed: int) -> None:
    """Draw PyTorch's default initialisation from a generator with this seed: uniform within 1 / sqrt(fan-in).

    Parameters of batch norms, and parameters named ``scale`` or ``shift``, keep their values.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                continue
            for name, value in layer.named_parameters(recurse=False):
                if not name.endswith(("scale", "shift")):
                    weight = cast(Tensor, layer.weight) if name == "bias" else value
                    value.copy_(_uniform(value.shape, generator) * weight[0].numel() ** -0.5)


def initial_parameters(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Return PyTorch's default initialisation for parameters known by shape only, float32.

    Weights and biases are uniform within 1 / sqrt(fan-in); scales of norms are 1 and their shifts 0.

    Args:
        shapes: shape of each parameter, in the order in which the generator draws them. Names of norms contain ``norm``.
        seed: seed of the generator.
    """
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if "norm" in name:
            values[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        else:
            weight = shapes[name.removesuffix("bias") + "weight"] if name.endswith("bias") else shape
            values[name] = _uniform(shape, generator) / math.sqrt(math.prod(weight[1:]))
    return values


def _uniform(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return uniform values on [-1, 1), float32."""
    return torch.rand(shape, generator=generator) * 2 - 1


def channels_last(module: nn.Module) -> None:
    """Store the kernels of all convolutions with channels last, the layout in which CPUs and GPUs convolve fastest."""
    for value in module.parameters():
        if value.dim() == 4:
            value.data = value.data.contiguous(memory_format=torch.channels_last)


def drop_statistics(module: nn.Module) -> None:
    """Let all batch norms normalise by the statistics of each batch, in evaluation too."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
