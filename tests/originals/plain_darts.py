"""The networks of the DARTS space: of a genotype to be trained, and ISTA-NAS' search network with two operations a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.originals.layers import Layers, Weights, average3

Genotype = Sequence[Sequence[tuple[str, int]]]
"""For each of the four nodes, (operation, source) of its inputs. Sources 0 and 1 are the two cells before."""

NORMAL_V1 = [
    [("sep_conv_3x3", 1), ("sep_conv_3x3", 0)],
    [("skip_connect", 0), ("sep_conv_3x3", 1)],
    [("skip_connect", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 0), ("skip_connect", 2)],
]
REDUCE_V1 = [
    [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
    [("skip_connect", 2), ("max_pool_3x3", 0)],
    [("max_pool_3x3", 0), ("skip_connect", 2)],
    [("skip_connect", 2), ("avg_pool_3x3", 0)],
]
NORMAL_V2 = [
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 1), ("skip_connect", 0)],
    [("skip_connect", 0), ("dil_conv_3x3", 2)],
]
REDUCE_V2 = [
    [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
    [("skip_connect", 2), ("max_pool_3x3", 1)],
    [("max_pool_3x3", 0), ("skip_connect", 2)],
    [("skip_connect", 2), ("max_pool_3x3", 1)],
]
GENOTYPES: dict[str, tuple[Genotype, Genotype]] = {"DARTS_V1": (NORMAL_V1, REDUCE_V1), "DARTS_V2": (NORMAL_V2, REDUCE_V2)}
"""Normal and reduction cell of the published genotypes, as their authors list them."""


class PlainNetwork(Layers):
    """A stem, cells of which those at a third and two thirds halve the size, an auxiliary head, pooling, a linear layer.

    Args:
        weights: parameters. Those of a cell's operation on an edge start with ``CELL.NODE.SOURCE.OPERATION``.
        depth: number of cells.
        stem: of CIFAR (3x3 to 3C channels) or of ImageNet (three convolutions with stride 2, in a search to 3C channels).
        affine: norms in the cells have scale and shift.
        norms_everywhere: poolings and identities have a norm too: True, False, or of poolings alone (``pools``).
    """

    def __init__(
        self,
        weights: Weights,
        depth: int,
        stem: Literal["cifar", "imagenet", "imagenet_search"] = "cifar",
        affine: bool = True,
        norms_everywhere: Literal[True, False, "pools"] = False,
    ) -> None:
        super().__init__(weights)
        self.depth, self.stem, self.in_cells, self.norms_everywhere = depth, stem, affine, norms_everywhere

    def logits(
        self, x: Tensor, cells: tuple[Genotype, Genotype], factors: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the logits, and in training those of the auxiliary head.

        Args:
            x: images.
            cells: inputs of the nodes of a normal cell and of a reduction cell.
            factors: for each kind of cell the weights (14, 7) of the operations; None: no weights.
        """
        if self.stem == "cifar":
            older = newer = self.affine(self.conv(x, "stem.0", 1, 1), "stem.1")
            halved = False
        else:
            x = self.affine(self.conv(x, "stem.0", 2, 1), "stem.1").relu()
            older = self.affine(self.conv(x, "stem.3", 2, 1), "stem.4")
            newer = self.affine(self.conv(older.relu(), "stem_rest.1", 2, 1), "stem_rest.2")
            halved = True
        auxiliary = None
        for number in range(self.depth):
            reduces = number in (self.depth // 3, 2 * self.depth // 3)
            table = None if factors is None else factors[reduces]
            output = self.cell(older, newer, f"cells.{number}", cells[reduces], reduces, halved, table)
            older, newer, halved = newer, output, reduces
            if number == 2 * self.depth // 3 and self.training and "auxiliary.10.weight" in self.weights:
                auxiliary = self.auxiliary(newer)
        return self.linear(newer.mean((2, 3)), "classifier"), auxiliary

    def cell(
        self, older: Tensor, newer: Tensor, name: str, nodes: Genotype, reduces: bool, halved: bool, factors: Tensor | None
    ) -> Tensor:
        if halved:
            first = self.reduction(older, f"{name}.older")
        else:
            first = self.cell_norm(self.conv(older.relu(), f"{name}.older.0"), f"{name}.older.1")
        states = [first, self.cell_norm(self.conv(newer.relu(), f"{name}.newer.0"), f"{name}.newer.1")]
        for node, entering in enumerate(nodes, 2):
            terms = []
            for op, source in entering:
                stride = 2 if reduces and source < 2 else 1
                y = self.operation(states[source], f"{name}.{node}.{source}.{op}", op, stride)
                terms.append(y if factors is None else factors[edge_number(node, source), ORDER.index(op)] * y)
            states.append(torch.stack(terms).sum(0))
        return torch.cat(states[2:], 1)

    def operation(self, x: Tensor, name: str, op: str, stride: int) -> Tensor:
        if op == "skip_connect" and stride == 2:
            return self.reduction(x, name)
        if op == "skip_connect":
            return self.cell_norm(x, f"{name}.norm") if self.norms_everywhere is True else x
        if op.endswith("pool_3x3"):
            y = F.max_pool2d(x, 3, stride, 1) if op.startswith("max") else average3(x, stride)
            return self.cell_norm(y, f"{name}.norm") if self.norms_everywhere else y
        kernel, dilation, c = int(op[-1]), 2 if op.startswith("dil") else 1, x.shape[1]
        y = self.conv(x.relu(), f"{name}.0", stride, dilation * (kernel // 2), dilation, c)
        y = self.cell_norm(self.conv(y, f"{name}.1"), f"{name}.2")
        if op.startswith("sep"):
            y = self.conv(y.relu(), f"{name}.4", 1, kernel // 2, 1, c)
            y = self.cell_norm(self.conv(y, f"{name}.5"), f"{name}.6")
        return y

    def reduction(self, x: Tensor, name: str) -> Tensor:
        """Return two halves of the channels by 1x1 convolutions of every second pixel, the second one pixel further."""
        x = x.relu()
        halves = [self.conv(x, f"{name}.first", 2), self.conv(x[:, :, 1:, 1:], f"{name}.second", 2)]
        return self.cell_norm(torch.cat(halves, 1), f"{name}.norm")

    def cell_norm(self, x: Tensor, name: str) -> Tensor:
        return self.affine(x, name) if self.in_cells else self.norm(x, name)

    def auxiliary(self, x: Tensor) -> Tensor:
        """Return the head's logits: 5x5 average pooling, 1x1 and 2x2 convolutions; one norm less on ImageNet."""
        y = F.avg_pool2d(x.relu(), 5, 3 if self.stem == "cifar" else 2)
        y = self.affine(self.conv(y, "auxiliary.2"), "auxiliary.3").relu()
        y = self.conv(y, "auxiliary.5")
        if self.stem == "cifar":
            y = self.affine(y, "auxiliary.6")
        y = y.relu()
        assert y.shape[2:] == (1, 1)
        return self.linear(y[:, :, 0, 0], "auxiliary.10")


ORDER = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""The operations in the order of the weights."""


def edge_number(node: int, source: int) -> int:
    """Return the row of an edge: those into node 2 first, then those into node 3, ..."""
    return sum(range(2, node)) + source
