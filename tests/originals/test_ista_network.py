"""ISTA-NAS' search network with two operations per node, against its definition, and the size of its one-stage network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.darts.macro import CIFAR, Macro
from benchmarks.darts.mixed import MixedEdges, SlotNorm
from benchmarks.darts.plan import CONVS, GROUPS
from benchmarks.darts.published import published
from benchmarks.darts.search_network import MixedCell
from benchmarks.darts.size import network_size
from benchmarks.darts.supernet import Supernet
from tests.originals.layers import cross_entropy
from tests.originals.plain_darts import ORDER, Genotype, PlainNetwork, edge_number

TWO_STAGE = Macro(width=4, depth=5, size=8, auxiliary=False)
ONE_STAGE = Macro(width=4, depth=4, size=32)
LABELS = torch.tensor([3, 1, 4])

CELLS: tuple[Genotype, Genotype] = (
    [
        [("sep_conv_5x5", 0), ("dil_conv_5x5", 0)],  # both from the same state
        [("max_pool_3x3", 1), ("skip_connect", 2)],
        [("avg_pool_3x3", 3), ("sep_conv_3x3", 1)],
        [("skip_connect", 0), ("dil_conv_3x3", 4)],
    ],
    [
        [("max_pool_3x3", 0), ("skip_connect", 1)],
        [("skip_connect", 2), ("dil_conv_5x5", 1)],
        [("avg_pool_3x3", 0), ("max_pool_3x3", 3)],
        [("sep_conv_3x3", 0), ("sep_conv_5x5", 4)],
    ],
)


def supernet(affine: bool) -> Supernet:
    net = Supernet(ONE_STAGE if affine else TWO_STAGE, none=False, affine=affine, seed=3)
    net.module.double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():  # scales away from 1, shifts away from 0
        for name, value in net.module.named_parameters():
            if value.dim() == 1 or name.endswith(("scale", "shift")):
                value.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return net


def unpacked(net: Supernet) -> dict[str, Tensor]:
    """Return the weights of every operation on every edge by name: the supernet has those of one kind in one tensor."""
    weights: dict[str, Tensor] = {}
    for name, value in net.module.named_parameters():
        if ".groups." not in name:
            weights[name] = value
    for number, cell in enumerate(net._network.cells):
        assert isinstance(cell, MixedCell)
        for group, mixed in zip(GROUPS, cell.groups, strict=True):
            assert isinstance(mixed, MixedEdges)
            for position in range(len(group.edges)):
                node, source = group.targets[group.row(position)], group.sources[group.source(position)]
                for op in range(7):
                    key = f"cells.{number}.{node}.{source}.{ORDER[op]}"
                    weights |= {f"{key}.{name}": value for name, value in operation(mixed, position, op)}
    return weights


def operation(mixed: MixedEdges, at: int, op: int) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of one operation on the edge at this position of a group."""
    c, count = mixed.channels, len(mixed.group.edges)
    if op in CONVS:
        kind = CONVS.index(op)
        slot = kind * count + at
        yield "0.weight", mixed.first[kind][at * c : (at + 1) * c]
        yield "1.weight", mixed.first_point[slot * c : (slot + 1) * c]
        yield from scales("2", mixed.first_norm, slot)
        if kind < 2:
            yield "4.weight", mixed.second[kind][at * c : (at + 1) * c]
            yield "5.weight", mixed.second_point[slot * c : (slot + 1) * c]
            yield from scales("6", mixed.second_norm, slot)
    elif op == 2 and mixed.stride == 2:
        kernel = mixed.reduction[at * c : (at + 1) * c]
        yield "first.weight", kernel[: c // 2]
        yield "second.weight", kernel[c // 2 :]
        yield from scales("norm", mixed.reduction_norm, at)
    elif mixed.plain_scale is not None and mixed.plain_shift is not None:
        yield "norm.weight", mixed.plain_scale[op * count + at]
        yield "norm.bias", mixed.plain_shift[op * count + at]


def scales(name: str, norm: SlotNorm, slot: int) -> Iterator[tuple[str, Tensor]]:
    if norm.scale is not None and norm.shift is not None:
        yield f"{name}.weight", norm.scale[slot]
        yield f"{name}.bias", norm.shift[slot]


def sparse(cells: tuple[Genotype, Genotype]) -> list[Tensor]:
    """Return weights z (14, 7) of both kinds of cell: some negative, and zero for all other operations."""
    generator = torch.Generator().manual_seed(4)
    tables = []
    for nodes in cells:
        table = torch.zeros(14, 7, dtype=torch.float64)
        for node, entering in enumerate(nodes, 2):
            for op, source in entering:
                table[edge_number(node, source), ORDER.index(op)] = torch.randn((), generator=generator, dtype=torch.float64)
        tables.append(table.requires_grad_())
    return tables


@pytest.mark.parametrize("affine", [False, True], ids=["two_stage", "one_stage"])
def test_forward_gradients_and_evaluation(affine: bool) -> None:
    """In one stage, norms have scale and shift and follow identities too, and the network has an auxiliary head."""
    net, tables = supernet(affine), sparse(CELLS)
    network = PlainNetwork(unpacked(net), net.cells, affine=affine, norms_everywhere=True if affine else "pools")
    active = tuple(tuple(tuple(row.nonzero().flatten().tolist()) for row in table) for table in tables)
    generator = torch.Generator().manual_seed(2)
    size = net._network.macro.size
    for _ in range(2):
        x = torch.randn(3, 3, size, size, generator=generator, dtype=torch.float64)
        ours = net(x, tables, active), net.auxiliary_logits
        theirs = network.logits(x, CELLS, (tables[0], tables[1]))
        gradients = []
        for logits, auxiliary in (ours, theirs):
            assert (auxiliary is None) != affine
            loss = cross_entropy(logits, LABELS) + (0 if auxiliary is None else 0.4 * cross_entropy(auxiliary, LABELS))
            wanted = [*tables, *net.module.parameters()]
            gradients.append(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-9, atol=1e-10)
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-9)
    net.module.eval()
    network.training = False
    with torch.no_grad():
        evaluated = net(x, tables, active), network.logits(x, CELLS, (tables[0], tables[1]))[0]
    torch.testing.assert_close(*evaluated, rtol=1e-9, atol=1e-10)


def test_the_one_stage_network_has_3371806_parameters() -> None:
    """Counted on the release's network of its one-stage cell: 36 channels, 20 cells, norms after poolings and identities."""
    assert network_size(published()["ISTA_NAS_ONE_STAGE"], replace(CIFAR, extra_norm="all")).parameters == 3_371_806
