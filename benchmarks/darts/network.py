"""The stand-alone network of a cell of the DARTS space. Its batch norms are affine."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts.cell import INPUTS, OPS, STATES, inputs, pruned, surviving
from benchmarks.darts.macro import CIFAR, ExtraNorm, Macro, Place, places
from harness.space import Arch


def separable(channels: int, kernel: int, stride: int = 1, dilation: int = 1, affine: bool = True) -> list[nn.Module]:
    """Return a depthwise convolution, a pointwise convolution and a batch norm, without ReLU. Stride 2 halves the size."""
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


class FactorizedReduce(nn.Module):
    """A layer that halves the size: two 1x1 convolutions of every second pixel, the second shifted by a pixel; batch norm.

    The caller adds the ReLU. The forward pass selects pixels before the convolution, because oneDNN's backward pass with
    stride 2 (issue 6035) writes past its workspace for channels-last images of fewer than 8 channels on processors without
    AVX-512.
    """

    def __init__(self, inputs: int, outputs: int, affine: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.second = nn.Conv2d(inputs, outputs - outputs // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(torch.cat([self.first(x[:, :, ::2, ::2]), self.second(x[:, :, 1::2, 1::2])], 1))
        return y


def operation(op: str, channels: int, stride: int, affine: bool = True, extra_norm: ExtraNorm = "none") -> nn.Module:
    """Return the layers of one operation.

    The caller adds the ReLU of operations for which :func:`reads_relu` is true.
    """
    if op == "skip_connect":
        if stride == 2:
            return FactorizedReduce(channels, channels, affine)
        return nn.BatchNorm2d(channels, affine=affine) if extra_norm == "all" else nn.Identity()
    if op.endswith("pool_3x3"):
        pool: nn.Module = (
            nn.MaxPool2d(3, stride, 1) if op.startswith("max") else nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        )
        return pool if extra_norm == "none" else nn.Sequential(pool, nn.BatchNorm2d(channels, affine=affine))
    kernel = int(op[-1])
    if op.startswith("dil"):
        return nn.Sequential(*separable(channels, kernel, stride, 2, affine))
    again = [nn.ReLU(), *separable(channels, kernel, 1, 1, affine)]
    return nn.Sequential(*separable(channels, kernel, stride, 1, affine), *again)


def reads_relu(op: str, stride: int) -> bool:
    """Return whether an operation begins with a ReLU of its source. The ReLU is computed once for all of them."""
    return "conv" in op or (op == "skip_connect" and stride == 2)


class EvaluationCell(nn.Module):
    """One cell of the network: two projected inputs, and for every surviving node the sum of its operations."""

    def __init__(self, place: Place, extra_norm: ExtraNorm) -> None:
        super().__init__()
        if place.older_larger:
            self.older: nn.Module = FactorizedReduce(place.older, place.width)
        else:
            self.older = _projection(place.older, place.width)
        self.newer = _projection(place.newer, place.width)
        cell = pruned(place.cell)
        self.surviving = surviving(cell)
        edges = [(node, OPS[op], source) for node in range(INPUTS, STATES) for op, source in inputs(cell, node)]
        ops = [operation(op, place.width, place.stride(source), extra_norm=extra_norm) for _, op, source in edges]
        self.ops = nn.ModuleList(ops)
        self.edges = [
            (node, source, reads_relu(name, place.stride(source)), not isinstance(op, nn.Identity))
            for (node, name, source), op in zip(edges, ops, strict=True)
        ]
        """For each operation: its node, its source, whether it reads the ReLU, and whether drop-path may drop it."""
        self.droppable = sum(drops for *_, drops in self.edges)
        """Number of operations that drop-path may drop: all but identities. An identity with a norm is dropped too."""

    def forward(self, older: Tensor, newer: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return the output (batch, channels, height, width).

        Args:
            older: output of the cell before the last one.
            newer: output of the last cell.
            keep: (droppable, batch, 1, 1, 1), the factor of each operation's output for each image; 0 drops it.
        """
        states: dict[int, Tensor] = {0: self.older(F.relu(older)), 1: self.newer(F.relu(newer))}
        rectified: dict[int, Tensor] = {}
        dropped = 0
        for (node, source, rectifies, drops), op in zip(self.edges, self.ops, strict=True):
            if rectifies:
                if source not in rectified:
                    rectified[source] = F.relu(states[source])
                value = op(rectified[source])
            else:
                value = op(states[source])
            if drops:
                if keep is not None:
                    value = value * keep[dropped]
                dropped += 1
            states[node] = states[node] + value if node in states else value
        return torch.cat([states[node] for node in self.surviving], 1)


class Network(nn.Module):
    """The evaluation network of an architecture.

    The initial weights are PyTorch's defaults. The caller draws the factors of drop-path; see :meth:`drop_path`.
    """

    def __init__(self, arch: Arch, macro: Macro = CIFAR) -> None:
        super().__init__()
        self.arch, self.macro = arch, macro
        built = list(places(arch, macro))
        self.stem, self.stem_rest = stem(macro)
        self.cells = nn.ModuleList(EvaluationCell(place, macro.extra_norm) for place in built)
        self.auxiliary_after = 2 * macro.depth // 3
        self.auxiliary = auxiliary_head(built[self.auxiliary_after].outputs, macro) if macro.auxiliary else None
        self.classifier = nn.Linear(built[-1].outputs, macro.classes)
        self.droppable = sum(cell.droppable for cell in self.cells)  # type: ignore[misc]
        """Number of operations in all cells that drop-path may drop."""

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the logits (batch, classes), and in training mode those of the auxiliary head.

        Args:
            x: (batch, channels, size, size).
            keep: (droppable, batch, 1, 1, 1), from :meth:`drop_path`; None: no operation is dropped.
        """
        first = self.stem(x)
        older, newer = first, first if self.stem_rest is None else self.stem_rest(first)
        auxiliary, start = None, 0
        for number, cell in enumerate(self.cells):
            part = None if keep is None else keep[start : start + cell.droppable]  # type: ignore[operator]
            start += cell.droppable  # type: ignore[assignment, operator]
            older, newer = newer, cell(older, newer, part)
            if number == self.auxiliary_after and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(newer)
        return self.classifier(newer.mean((2, 3))), auxiliary

    def drop_path(self, batch: int, probability: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``keep`` for a batch: 0 with ``probability``, else 1 / (1 - probability), per operation and image.

        Args:
            batch: number of images.
            probability: below 1; a float32 scalar on the generator's device, so that its ramp needs no synchronisation.
            generator: source of randomness.
        """
        drawn = torch.rand(self.droppable, batch, 1, 1, 1, generator=generator, device=generator.device)
        return (drawn >= probability) / (1 - probability)


def auxiliary_head(channels: int, macro: Macro) -> nn.Sequential:
    """Return the auxiliary classifier for 8 x 8 (CIFAR) or 7 x 7 (ImageNet) pixels.

    DARTS' head for ImageNet has no second batch norm, as its authors note.
    """
    imagenet = macro.stem != "cifar"
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=2 if imagenet else 3, padding=0, count_include_pad=False),
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        nn.Identity() if imagenet else nn.BatchNorm2d(768),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(768, macro.classes),
    )


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def stem(macro: Macro) -> tuple[nn.Sequential, nn.Sequential | None]:
    """Return the layers to input 0 of the first cell, and those from there to input 1 (None if the inputs are the same)."""
    width = macro.stem_width
    if macro.stem == "cifar":
        return nn.Sequential(*_conv3(macro.channels, width)), None
    first = nn.Sequential(*_conv3(macro.channels, width // 2, 2), nn.ReLU(), *_conv3(width // 2, width, 2))
    return first, nn.Sequential(nn.ReLU(), *_conv3(width, width, 2))


def _conv3(inputs: int, outputs: int, stride: int = 1) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    yield nn.BatchNorm2d(outputs)
