"""The stand-alone network of a NAS-Bench-201 cell: stem, three stages of cells with two reductions, classifier.

Supernets and fast trainers are tested against it. :func:`parameter_shapes`, :func:`parameters` and :func:`macs` give its sizes
without building it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.nb201.macro import PAPER, STAGES, Macro
from benchmarks.nb201.space import EDGES, OPS
from harness.space import Arch

NONE, SKIP, CONV1, CONV3, POOL = range(len(OPS))
KERNEL = {CONV1: 1, CONV3: 3}
"""Side of the kernel of each operation that has weights."""
BN_EPS = 1e-5
BN_MOMENTUM = 0.1

Shapes = dict[str, tuple[int, ...]]


def _norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def parameter_shapes(arch: Arch, macro: Macro) -> Shapes:
    """Return name and shape of every parameter of :class:`Network`, in the order of ``named_parameters``."""
    shapes: Shapes = {"stem.conv.weight": (macro.width, macro.channels, macro.stem, macro.stem)}
    shapes |= _norm("stem.norm", macro.width)
    for stage in range(STAGES):
        channels = macro.stage(stage)[0]
        for cell in range(macro.depth):
            for edge, op in enumerate(arch):
                if op in KERNEL:
                    name = f"stages.{stage}.{cell}.{edge}"
                    shapes[f"{name}.conv.weight"] = (channels, channels, KERNEL[op], KERNEL[op])
                    shapes |= _norm(f"{name}.norm", channels) if macro.affine else {}
    for number in range(STAGES - 1):
        name, before = f"reductions.{number}", macro.stage(number)[0]
        if macro.reduction == "residual":
            for block, inputs in (("first", before), ("second", 2 * before)):
                shapes[f"{name}.{block}.conv.weight"] = (2 * before, inputs, 3, 3)
                shapes |= _norm(f"{name}.{block}.norm", 2 * before)
        shapes[f"{name}.shortcut.weight"] = (2 * before, before, 1, 1)
    last = macro.stage(STAGES - 1)[0]
    return shapes | _norm("norm", last) | {"classifier.weight": (macro.classes, last), "classifier.bias": (macro.classes,)}


def parameters(arch: Arch, macro: Macro = PAPER) -> int:
    """Return the number of trainable values. Like the benchmark, it counts those of edges without a path to the output."""
    return sum(math.prod(shape) for shape in parameter_shapes(arch, macro).values())


def macs(arch: Arch, macro: Macro = PAPER) -> int:
    """Return the multiply-adds of one image: convolutions and the classifier, whose bias counts as one per class.

    Batch norm, pooling, sums and ReLU count as zero. The result equals the benchmark's ``flops`` column.
    """
    total = macro.classes
    for name, shape in parameter_shapes(arch, macro).items():
        if name.startswith("stem.conv"):
            positions = macro.size**2
        elif name.startswith("stages.") and name.endswith("conv.weight"):
            positions = macro.stage(int(name.split(".")[1]))[1] ** 2
        elif name.startswith("reductions.") and len(shape) == 4:
            positions = macro.stage(int(name.split(".")[1]) + 1)[1] ** 2
        elif name == "classifier.weight":
            positions = 1
        else:
            continue
        total += positions * math.prod(shape)
    return total


def used_edges(arch: Arch) -> tuple[int, ...]:
    """Return the edges on a path to the output of the cell, without ``none``. All others have no effect and no gradient."""
    needed, used = {len(EDGES) // 2}, []
    for edge in reversed(range(len(EDGES))):  # targets descend, so a node's uses are known before its inputs are visited
        target, source = EDGES[edge]
        if arch[edge] != NONE and target in needed:
            needed.add(source)
            used.append(edge)
    return tuple(reversed(used))


def initial_parameters(arch: Arch, macro: Macro, seed: int) -> dict[str, Tensor]:
    """Return the initial values of all parameters of :class:`Network`; see :func:`benchmarks.networks.initial_parameters`."""
    return networks.initial_parameters(parameter_shapes(arch, macro), seed)


class ConvNorm(nn.Module):
    """ReLU (optional), convolution without bias and batch norm. The size stays, or halves with stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True, affine: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, BN_EPS, BN_MOMENTUM, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(F.relu(x) if self.relu else x))
        return y


def pool3(x: Tensor) -> Tensor:
    """Return the 3x3 average pooling at unchanged size. At the border it averages over the pixels inside the image."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class Cell(nn.ModuleDict):
    """One cell: the value of a node is the sum over its incoming edges. Edges without effect are computed too."""

    def __init__(self, arch: Arch, channels: int, affine: bool) -> None:
        super().__init__(
            {str(edge): ConvNorm(channels, channels, KERNEL[op], affine=affine) for edge, op in enumerate(arch) if op in KERNEL}
        )
        self.arch = arch

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in range(1, 4):
            total = torch.zeros_like(x)
            for edge, (to, source) in enumerate(EDGES):
                op = self.arch[edge]
                if to == target and op != NONE:
                    value = nodes[source]
                    total = total + (value if op == SKIP else pool3(value) if op == POOL else self[str(edge)](value))
            nodes.append(total)
        return nodes[-1]


class Reduction(nn.Module):
    """A layer that halves the size and doubles the channels."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        if residual:
            self.first = ConvNorm(channels, 2 * channels, 3, stride=2)
            self.second = ConvNorm(2 * channels, 2 * channels, 3)
        self.shortcut = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        short: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return short + self.second(self.first(x)) if self.residual else short


class Skeleton(nn.Module):
    """The layers of the network around its cells.

    Args:
        macro: the network around the cells.
        cell: makes a cell with this number of channels.
    """

    def __init__(self, macro: Macro, cell: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.macro = macro
        self.stem = ConvNorm(macro.channels, macro.width, macro.stem, relu=False)
        self.stages = nn.ModuleList(
            nn.ModuleList(cell(macro.stage(stage)[0]) for _ in range(macro.depth)) for stage in range(STAGES)
        )
        self.reductions = nn.ModuleList(
            Reduction(macro.stage(number)[0], macro.reduction == "residual") for number in range(STAGES - 1)
        )
        last = macro.stage(STAGES - 1)[0]
        self.norm = nn.BatchNorm2d(last, BN_EPS, BN_MOMENTUM)
        self.classifier = nn.Linear(last, macro.classes)


class Network(Skeleton):
    """The network of one cell. Input (batch, channels, size, size), output logits (batch, classes).

    Its weights are PyTorch's defaults. ``load`` :func:`initial_parameters` for weights that depend on a seed only.
    """

    def __init__(self, arch: Arch, macro: Macro = PAPER) -> None:
        super().__init__(macro, lambda channels: Cell(arch, channels, macro.affine))
        self.arch = arch

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for number, cells in enumerate(self.stages):
            if number:
                x = self.reductions[number - 1](x)
            for cell in cells:  # type: ignore[attr-defined]
                x = cell(x)
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean((2, 3)))
        return logits

    def load(self, values: dict[str, Tensor]) -> Network:
        """Load the named parameters. Batch-norm statistics do not change. Return the network."""
        self.load_state_dict(values, strict=False)
        return self
