"""The DARTS supernet computed edge by edge and operation by operation, and small networks to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.darts.cell import EDGE, OPS
from benchmarks.darts.macro import Macro
from benchmarks.darts.mixed import MixedEdges, SlotNorm
from benchmarks.darts.plan import CONVS, GROUPS, KERNEL
from benchmarks.darts.search_network import MixedCell
from benchmarks.darts.supernet import Supernet
from harness import weight_sharing as contract

TINY = Macro(width=4, depth=3, channels=1, size=4, auxiliary=False)
BATCH = 3


def images(macro: Macro = TINY, batch: int = BATCH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, macro.channels, macro.size, macro.size, generator=generator, dtype=torch.float64)


def made(macro: Macro = TINY, **choices: object) -> Supernet:
    net = Supernet(macro, seed=3, **choices)  # type: ignore[arg-type]
    net.module.double()
    return net


def tables(net: Supernet, seed: int = 2, batch: int = 0) -> list[Tensor]:
    """Return random weights, some of them negative."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch,) if batch else ()
    return [torch.randn(*shape, d.rows, len(d.options), generator=generator, dtype=torch.float64) for d in net.decisions]


def ones(net: contract.Supernet, arch: tuple[int, ...]) -> list[Tensor]:
    """Return the weights 0 and 1 that are equivalent to ``active_for(arch)``."""
    weights = []
    for decision, rows in zip(net.decisions, net.active_for(arch), strict=True):
        table = torch.zeros(decision.rows, len(decision.options), dtype=torch.float64)
        for row, options in enumerate(rows):
            table[row, list(options)] = 1
        weights.append(table)
    return weights


class Plain:
    """The same computation edge by edge and operation by operation, with the weights of the supernet.

    Args:
        net: the supernet.
        skipping: do not execute operations whose weight is zero.
    """

    def __init__(self, net: Supernet, skipping: bool = False) -> None:
        self.net, self.network, self.skipping = net, net._network, skipping

    def __call__(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        older = newer = self.network.stem(x)
        if self.network.stem_rest is not None:
            newer = self.network.stem_rest(older)
        for cell in self.network.cells:
            assert isinstance(cell, MixedCell)
            older, newer = newer, self.cell(cell, older, newer, weights)
        logits: Tensor = self.network.classifier(newer.mean((2, 3)))
        return logits

    def cell(self, cell: MixedCell, older: Tensor, newer: Tensor, weights: Sequence[Tensor]) -> Tensor:
        kind = int(cell.reduces)
        states = [cell.older(F.relu(older)), cell.newer(F.relu(newer))]
        for node in range(2, 6):
            terms = []
            for source in range(node):
                edge = EDGE[node, source]
                stride = 2 if cell.reduces and source < 2 else 1
                term = self.edge(cell, states[source], node, source, stride, weights[kind][..., edge, :])
                if self.net.edges:
                    own = weights[2 + 4 * kind + node - 2][..., 0, source]
                    term = own.reshape(-1, 1, 1, 1) * term
                terms.append(term)
            states.append(torch.stack([term for term in terms if term.dim()]).sum(0))
        return torch.cat(states[2:], 1)

    def edge(self, cell: MixedCell, x: Tensor, node: int, source: int, stride: int, weights: Tensor) -> Tensor:
        c = x.shape[1] // self.net.partial
        working, rest = x[:, :c], x[:, c:]
        first = int(self.net.none)
        terms = [
            weights[..., first + op].reshape(-1, 1, 1, 1) * self.operation(cell, working, node, source, stride, op)
            for op in range(len(OPS))
            if not self.skipping or weights[first + op]
        ]
        total = torch.stack(terms).sum(0) if terms else working.new_zeros(())
        if self.net.partial == 1:
            return total
        joined = torch.cat([total, F.max_pool2d(rest, 2, 2) if stride == 2 else rest], 1)
        batch, channels, height, width = joined.shape
        return joined.view(batch, self.net.partial, -1, height, width).transpose(1, 2).reshape(batch, channels, height, width)

    def operation(self, cell: MixedCell, x: Tensor, node: int, source: int, stride: int, op: int) -> Tensor:
        number = max(source - 1, 0)
        mixed, group, c = cell.groups[number], GROUPS[number], x.shape[1]
        assert isinstance(mixed, MixedEdges)
        at, count = group.edges.index(EDGE[node, source]), len(group.edges)
        name = OPS[op]

        def norm(y: Tensor, of: SlotNorm, slot: int) -> Tensor:
            scale = None if of.scale is None else of.scale[slot]
            shift = None if of.shift is None else of.shift[slot]
            return F.batch_norm(y, None, None, scale, shift, True)

        if op not in CONVS:
            if name == "skip_connect" and stride == 2:
                x, reduction = F.relu(x), mixed.reduction[at * c : (at + 1) * c]
                halves = [F.conv2d(x, reduction[: c // 2], stride=2), F.conv2d(x[:, :, 1:, 1:], reduction[c // 2 :], stride=2)]
                return norm(torch.cat(halves, 1), mixed.reduction_norm, at)
            y = x
            if name == "max_pool_3x3":
                y = F.max_pool2d(x, 3, stride, 1)
            elif name == "avg_pool_3x3":
                y = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            elif not mixed.affine:
                return y
            slot = op * count + at
            own_scale = None if mixed.plain_scale is None else mixed.plain_scale[slot]
            own_shift = None if mixed.plain_shift is None else mixed.plain_shift[slot]
            return F.batch_norm(y, None, None, own_scale, own_shift, True)
        kind, kernel = CONVS.index(op), KERNEL[op]
        dilation = 2 if name.startswith("dil") else 1
        y = F.conv2d(F.relu(x), mixed.first[kind][at * c : (at + 1) * c], None, stride, dilation * (kernel // 2), dilation, c)
        slot = kind * count + at
        y = norm(F.conv2d(y, mixed.first_point[slot * c : (slot + 1) * c]), mixed.first_norm, slot)
        if dilation == 1:
            y = F.conv2d(F.relu(y), mixed.second[kind][at * c : (at + 1) * c], None, 1, kernel // 2, 1, c)
            y = norm(F.conv2d(y, mixed.second_point[slot * c : (slot + 1) * c]), mixed.second_norm, slot)
        return y
