"""The stand-alone network of a NAS-Bench-101 cell: stem, three stacks of cells with two halvings, classifier.

Fast trainers are tested against it. :func:`parameter_shapes` gives its parameters and their shapes without building it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.nb1shot1.cell import KERNEL, Cell
from benchmarks.nb1shot1.macro import STACKS, Macro
from benchmarks.nb1shot1.size import vertex_channels

BN_EPS = 1e-5
BN_MOMENTUM = 0.1
"""NAS-Bench-101 has 0.003 (TensorFlow's 0.997), which takes a thousand steps. Trainings on digits have a few hundred."""

Shapes = dict[str, tuple[int, ...]]


def projected(cell: Cell) -> list[int]:
    """Return the vertices that the cell's input feeds, possibly the output: each through its own 1x1 convolution."""
    return [vertex for vertex, edge in enumerate(cell.matrix[0]) if edge]


def _layer(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    shapes: Shapes = {f"{name}.conv.weight": (outputs, inputs, kernel, kernel)}
    return shapes | {f"{name}.norm.{part}": (outputs,) for part in ("weight", "bias")}


def parameter_shapes(cell: Cell, macro: Macro) -> Shapes:
    """Return name and shape of every parameter of :class:`Network`, in the order of ``named_parameters``."""
    shapes = _layer("stem", macro.channels, macro.width, macro.stem)
    for name, inputs, outputs, _ in macro.places():
        widths = vertex_channels(cell.matrix, inputs, outputs)
        for vertex in projected(cell):
            shapes |= _layer(f"{name}.projections.{vertex}", inputs, widths[vertex], 1)
        for vertex, op in enumerate(cell.ops, 1):
            if op in KERNEL:
                shapes |= _layer(f"{name}.vertices.{vertex}", widths[vertex], widths[vertex], KERNEL[op])
    return shapes | {"classifier.weight": (macro.classes, macro.last), "classifier.bias": (macro.classes,)}


def initial_parameters(cell: Cell, macro: Macro, seed: int) -> dict[str, Tensor]:
    """Return the initial values of all parameters of :class:`Network`; see :func:`benchmarks.networks.initial_parameters`."""
    return networks.initial_parameters(parameter_shapes(cell, macro), seed)


class ConvNormRelu(nn.Module):
    """Convolution without bias at unchanged size, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float = BN_MOMENTUM) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, BN_EPS, momentum)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class CellModule(nn.Module):
    """One cell that maps ``inputs`` channels to ``outputs`` channels.

    An inner vertex applies its operation to the sum of its inputs, truncated to its width. The vertices that feed the output
    are concatenated. If the cell's input feeds the output too, its projection is added.
    """

    def __init__(self, cell: Cell, inputs: int, outputs: int) -> None:
        super().__init__()
        self.cell = cell
        self.widths = vertex_channels(cell.matrix, inputs, outputs)
        self.projections = nn.ModuleDict(
            {str(vertex): ConvNormRelu(inputs, self.widths[vertex], 1) for vertex in projected(cell)}
        )
        self.vertices = nn.ModuleDict(
            {
                str(vertex): ConvNormRelu(self.widths[vertex], self.widths[vertex], KERNEL[op])
                for vertex, op in enumerate(cell.ops, 1)
                if op in KERNEL
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        matrix, last = self.cell.matrix, len(self.cell.matrix) - 1
        values = [x]
        for vertex, op in enumerate(self.cell.ops, 1):
            terms = [values[source][:, : self.widths[vertex]] for source in range(1, vertex) if matrix[source][vertex]]
            if matrix[0][vertex]:
                terms.append(self.projections[str(vertex)](x))
            total = torch.stack(terms).sum(0)
            values.append(self.vertices[str(vertex)](total) if op in KERNEL else F.max_pool2d(total, 3, 1, 1))
        feeding = [values[vertex] for vertex in range(1, last) if matrix[vertex][last]]
        outputs = [torch.cat(feeding, 1)] if feeding else []
        if matrix[0][last]:
            outputs.append(self.projections[str(last)](x))
        return torch.stack(outputs).sum(0)


class Network(nn.Module):
    """The network of one cell. Input (batch, channels, size, size), output logits (batch, classes).

    Its weights are PyTorch's defaults. ``load`` :func:`initial_parameters` for weights that depend on a seed only.
    """

    def __init__(self, cell: Cell, macro: Macro) -> None:
        super().__init__()
        self.macro = macro
        self.stem = ConvNormRelu(macro.channels, macro.width, macro.stem)
        cells = [CellModule(cell, inputs, outputs) for _, inputs, outputs, _ in macro.places()]
        self.stacks = nn.ModuleList(
            nn.ModuleList(cells[stack * macro.depth : (stack + 1) * macro.depth]) for stack in range(STACKS)
        )
        self.classifier = nn.Linear(macro.last, macro.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stack, cells in enumerate(self.stacks):
            if stack:
                x = F.max_pool2d(x, 2)
            for cell in cells:  # type: ignore[attr-defined]
                x = cell(x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits

    def load(self, values: dict[str, Tensor]) -> Network:
        """Load the named parameters. Batch-norm statistics do not change. Return the network."""
        self.load_state_dict(values, strict=False)
        return self
