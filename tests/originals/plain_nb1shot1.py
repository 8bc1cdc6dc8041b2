"""The search network of NAS-Bench-1Shot1, block by block: DARTS' mixtures, and PC-DARTS' on a part of the channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.originals.layers import Layers

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")


class PlainNetwork(Layers):
    """A stem, nine cells in three stacks, a convolution with norm, pooling and a linear layer.

    Args:
        weights: parameters. A cell's projections are ``CELL.input.BLOCK``, that of its output is ``CELL.input.output``; the
            convolutions of a block are ``CELL.BLOCK.OPERATION``.
        blocks: blocks of a cell.
        free: the lowest block whose inputs have weights; 3 in the first space, 2 in the others.
        partial: operations work on the first of this many equal parts of the channels.
    """

    def __init__(self, weights: dict[str, Tensor], blocks: int, free: int, partial: int = 1) -> None:
        super().__init__(weights, momentum=0.997)
        self.blocks, self.free, self.partial = blocks, free, partial

    def logits(self, x: Tensor, operations: Tensor, output: Tensor, inputs: dict[int, Tensor]) -> Tensor:
        """Return the logits.

        Args:
            x: images.
            operations: (blocks, 3), weights of the operations of each block.
            output: (blocks + 1,), weights of the cell's input and of the blocks in the cell's output.
            inputs: for each block with a choice, the weights of the cell's input and of the earlier blocks.
        """
        x = self.layer(x, "stem", 3)
        for number in range(9):
            if number in (3, 6):
                x = F.max_pool2d(x, 2, 2, 1)
            x = self.cell(x, f"cells.{number}", operations, output, inputs)
        x = self.norm(self.conv(x.relu(), "last"), "last")
        return self.linear(x.mean((2, 3)), "classifier")

    def layer(self, x: Tensor, name: str, kernel: int) -> Tensor:
        return self.affine(self.conv(x, name, padding=kernel // 2), f"{name}.norm").relu()

    def cell(self, x: Tensor, name: str, operations: Tensor, output: Tensor, inputs: dict[int, Tensor]) -> Tensor:
        states: list[Tensor] = []
        for block in range(1, self.blocks + 1):
            entering = [self.layer(x, f"{name}.input.{block}", 1), *states]
            if block >= self.free:
                entering = [weight * value for weight, value in zip(inputs[block], entering, strict=True)]
            states.append(self.mixed(torch.stack(entering).sum(0), f"{name}.{block}", operations[block - 1]))
        passed = output[0] * self.layer(x, f"{name}.input.output", 1)
        return passed + torch.cat([weight * value for weight, value in zip(output[1:], states, strict=True)], 1)

    def mixed(self, x: Tensor, name: str, weights: Tensor) -> Tensor:
        channels = x.shape[1]
        working = x[:, : channels // self.partial]
        outputs = [
            self.layer(working, f"{name}.conv3x3", 3),
            self.layer(working, f"{name}.conv1x1", 1),
            F.max_pool2d(working, 3, 1, 1),
        ]
        total = torch.stack([weight * y for weight, y in zip(weights, outputs, strict=True)]).sum(0)
        if self.partial == 1:
            return total
        joined = torch.cat([total, x[:, channels // self.partial :]], 1)
        # the shuffle: channel k of the result is number k // parts of part k % parts
        order = [k % self.partial * (channels // self.partial) + k // self.partial for k in range(channels)]
        return joined[:, order]
