"""The supernet of NAS-Bench-201's and NATS-Bench's code in plain PyTorch: a module for every operation on every edge."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(target, source) of each row of the architecture's table."""
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0


def convolution(inputs: int, outputs: int, kernel: int, stride: int, affine: bool, track: bool) -> nn.Sequential:
    """Return ReLU, convolution and norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, affine=affine, track_running_stats=track),
    )


def operation(name: str, channels: int, track: bool) -> nn.Module:
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return convolution(channels, channels, int(name[-1]), 1, affine=False, track=track)


class Cell(nn.Module):
    def __init__(self, channels: int, track: bool) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleList(operation(name, channels, track) for name in OPERATIONS) for _ in EDGES)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            value = torch.zeros_like(x)
            for row, (target, source) in enumerate(EDGES):
                if target == node:
                    for weight, run in zip(weights[row], self.edges[row], strict=True):  # type: ignore[arg-type]
                        value = value + weight * run(nodes[source])
            nodes.append(value)
        return nodes[3]


class Residual(nn.Module):
    """The block between two stages. Its norms have scale, shift and running statistics in all searches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, 2 * channels, 3, 2, affine=True, track=True)
        self.second = convolution(2 * channels, 2 * channels, 3, 1, affine=True, track=True)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        short: Tensor = self.shortcut(x)
        return short + self.second(self.first(x))


class PlainSupernet(nn.Module):
    """One cell per stage.

    Args:
        channels: channels of the first stage.
        track: the norms inside the cells keep running statistics.
        plain_last: the last norm is like them, as in NATS-Bench's code; else it has scale, shift and statistics always.
    """

    def __init__(self, channels: int, track: bool, plain_last: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList(Cell(channels << stage, track) for stage in range(3))
        self.residual = nn.ModuleList(Residual(channels << stage) for stage in range(2))
        self.last = nn.BatchNorm2d(4 * channels, affine=not plain_last, track_running_stats=track or not plain_last)
        self.classifier = nn.Linear(4 * channels, 10)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        x = self.stem(x)
        for stage, cell in enumerate(self.cells):
            if stage:
                x = self.residual[stage - 1](x)
            x = cell(x, weights)
        logits: Tensor = self.classifier(F.relu(self.last(x)).mean((2, 3)))
        return logits

    @torch.no_grad()
    def load(self, shared: Mapping[tuple[int, int, int], Tensor], outside: Mapping[str, Tensor]) -> PlainSupernet:
        """Copy weights into this network, and return it.

        Args:
            shared: by (stage, edge, number of the operation), the kernel of a convolution in a cell.
            outside: the parameters outside the cells by the names of :class:`benchmarks.nb201.network.Network`.
        """
        for (stage, edge, op), kernel in shared.items():
            self.cells[stage].edges[edge][op][1].weight.copy_(kernel)  # type: ignore[union-attr, index]
        places: dict[str, nn.Module] = {"stem.conv": self.stem[0], "stem.norm": self.stem[1]}
        places |= {"norm": self.last, "classifier": self.classifier}
        for number, block in enumerate(self.residual):
            for name in ("first", "second"):
                part = getattr(block, name)
                places |= {f"reductions.{number}.{name}.conv": part[1], f"reductions.{number}.{name}.norm": part[2]}
            places[f"reductions.{number}.shortcut"] = block.shortcut[1]  # type: ignore[index]
        for name, value in outside.items():
            place, _, kind = name.rpartition(".")
            getattr(places[place], kind).copy_(value)
        return self
