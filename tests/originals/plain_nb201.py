"""NAS-Bench-201's search networks: DARTS, GDAS, and SETN's single cell, edge by edge and operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.originals.layers import Layers, average3

INCOMING = {1: (0,), 2: (0, 1), 3: (0, 1, 2)}
"""Sources of each node."""
EDGE_NUMBER = {(1, 0): 0, (2, 0): 1, (2, 1): 2, (3, 0): 3, (3, 1): 4, (3, 2): 5}
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

Edge = Callable[[Tensor, str, int], Tensor]
"""What an edge adds to its node: of the source's value, the name of the cell and the number of the edge."""


class PlainNetwork(Layers):
    """A stem, three stages of cells with two residual blocks between them, norm, ReLU, pooling and a linear layer.

    Args:
        weights: parameters; a kernel of a cell is ``stages.STAGE.DEPTH.EDGE.OPERATION``.
        depth: cells of a stage.
        track: the norms inside the cells keep running statistics; all others do in any case.
        plain_last: the last norm is like those inside the cells, as in NATS-Bench's code.
    """

    def __init__(self, weights: dict[str, Tensor], depth: int, track: bool = True, plain_last: bool = False) -> None:
        super().__init__(weights)
        self.depth, self.track, self.plain_last = depth, track, plain_last

    def logits(self, x: Tensor, edge: Edge) -> Tensor:
        x = self.affine(self.conv(x, "stem.conv", padding=1), "stem.norm")
        for stage in range(3):
            if stage > 0:
                x = self.residual(x, f"reductions.{stage - 1}")
            for depth in range(self.depth):
                x = self.cell(x, f"stages.{stage}.{depth}", edge)
        x = self.inner_norm(x, "norm") if self.plain_last else self.affine(x, "norm")
        return self.linear(x.relu().mean((2, 3)), "classifier")

    def inner_norm(self, x: Tensor, name: str) -> Tensor:
        """Return the norm of the operations inside the cells: without statistics it evaluates as it trains."""
        before = self.training
        self.training = before or not self.track
        y = self.norm(x, name)
        self.training = before
        return y

    def residual(self, x: Tensor, name: str) -> Tensor:
        """Return two convolutions of ReLUs with norms, the first with stride 2, plus a pooled 1x1 shortcut."""
        y = self.affine(self.conv(x.relu(), f"{name}.first.conv", 2, 1), f"{name}.first.norm")
        y = self.affine(self.conv(y.relu(), f"{name}.second.conv", 1, 1), f"{name}.second.norm")
        halved = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
        return y + self.conv(halved, f"{name}.shortcut")

    def cell(self, x: Tensor, name: str, edge: Edge) -> Tensor:
        nodes = [x]
        for node, sources in INCOMING.items():
            total = torch.zeros_like(x)
            for source in sources:
                total = total + edge(nodes[source], name, EDGE_NUMBER[node, source])
            nodes.append(total)
        return nodes[3]

    def operation(self, x: Tensor, name: str, edge: int, op: str) -> Tensor:
        if op == "none":
            return torch.zeros_like(x)
        if op == "skip_connect":
            return x
        if op == "avg_pool_3x3":
            return average3(x)
        key = f"{name}.{edge}.{op}"
        return self.inner_norm(self.conv(x.relu(), key, padding=1 if op == "nor_conv_3x3" else 0), key)

    def darts(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the logits if every edge is the sum of all operations times their weights (6, 5)."""

        def edge(value: Tensor, name: str, number: int) -> Tensor:
            terms = [weights[number, k] * self.operation(value, name, number, op) for k, op in enumerate(OPERATIONS)]
            return torch.stack(terms).sum(0)

        return self.logits(x, edge)

    def gdas(self, x: Tensor, hard: Tensor) -> Tensor:
        """Return the logits if an edge is its drawn operation times its weight, plus the weights of all others as numbers.

        Args:
            x: images.
            hard: (6, 5), one-hot in value, the gradient of the softmax.
        """

        def edge(value: Tensor, name: str, number: int) -> Tensor:
            drawn = int(hard[number].argmax())
            total = hard[number, drawn] * self.operation(value, name, number, OPERATIONS[drawn])
            for k in range(len(OPERATIONS)):
                if k != drawn:
                    total = total + hard[number, k]
            return total

        return self.logits(x, edge)

    def single(self, x: Tensor, ops: Sequence[int]) -> Tensor:
        """Return the logits of a cell with one operation on each edge."""
        return self.logits(x, lambda value, name, number: self.operation(value, name, number, OPERATIONS[ops[number]]))
