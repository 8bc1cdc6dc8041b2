"""The stand-alone network of an architecture in a supernet, with the weights of its operations absorbed into norms.

Every operation of an affine supernet ends in a norm with scale and shift: ``z (scale x + shift) = (z scale) x + (z shift)``.
The stand-alone network therefore needs no weights of operations. In evaluation it computes the same, except for rounding
(ISTA-NAS, D-15).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.darts.cell import EDGE, EDGES, INPUTS, NODES, STATES, inputs, surviving
from benchmarks.darts.mixed import MixedEdges, SlotNorm
from benchmarks.darts.network import Network
from benchmarks.darts.plan import CONVS, GROUPS, SKIP
from benchmarks.darts.search_network import MixedCell, SearchNetwork
from benchmarks.darts.space import cells
from harness.space import Arch

State = Iterator[tuple[str, Tensor]]
"""Names and values of a state dictionary."""


def absorbed(net: SearchNetwork, arch: Arch, weights: Sequence[Tensor] | None = None) -> Network:
    """Return the network of ``arch`` with the supernet's parameters and statistics, on its device and in its precision.

    Args:
        net: the network of the supernet.
        arch: an architecture.
        weights: weights (14, 7) of the operations, for each kind of cell; None: weight one.

    Raises:
        ValueError: the supernet has no affine norms or has partial channels, or a cell of ``arch`` has vanished nodes.
    """
    if not net.affine or any(cell.partial > 1 for cell in cast(Sequence[MixedCell], net.cells)):
        raise ValueError("only a supernet with affine norms and all channels has stand-alone networks")
    if any(len(surviving(cell)) < NODES for cell in cells(arch)):
        raise ValueError(f"{arch} has vanished nodes, whose channels the supernet's cells still read")
    reference = net.classifier.weight
    network = Network(arch, replace(net.macro, extra_norm="all")).to(reference.device, reference.dtype)
    state = dict(_outside(net))
    for number, cell in enumerate(cast(Sequence[MixedCell], net.cells)):
        for name, projection in (("older", cell.older), ("newer", cell.newer)):
            state |= {f"cells.{number}.{name}.{key}": value for key, value in projection.state_dict().items()}
        kind = int(cell.reduces)
        table = None if weights is None else weights[kind]
        state |= {f"cells.{number}.ops.{key}": value for key, value in _cell(cell, cells(arch)[kind], table)}
    expected = network.state_dict()
    state |= {name: value for name, value in expected.items() if name.endswith("num_batches_tracked")}
    network.load_state_dict({name: value.detach().reshape(expected[name].shape) for name, value in state.items()})
    return network.train(net.training)


def _outside(module: nn.Module) -> State:
    """Yield the state of the layers outside the cells."""
    yield from ((name, value) for name, value in module.state_dict().items() if not name.startswith("cells."))


def _operations(cell: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield (edge, operation) in the order of the stand-alone cell."""
    for node in range(INPUTS, STATES):
        for op, source in inputs(cell, node):
            yield EDGE[node, source], op


def _cell(cell: MixedCell, arch: tuple[int, ...], table: Tensor | None) -> State:
    """Yield the state of the stand-alone cell's operations."""
    for number, (edge, op) in enumerate(_operations(arch)):
        group = max(EDGES[edge][1] - 1, 0)
        mixed = cast(MixedEdges, cell.groups[group])
        at = GROUPS[group].edges.index(edge)
        weight = None if table is None else table[edge, op]
        yield from ((f"{number}.{name}", value) for name, value in _operation(mixed, at, op, weight))


def _operation(mixed: MixedEdges, at: int, op: int, weight: Tensor | None) -> State:
    """Yield the state of operation ``op`` on the edge at position ``at`` of a group."""
    c, count = mixed.channels, len(mixed.group.edges)
    if op in CONVS:
        kind = CONVS.index(op)
        slot = kind * count + at
        separable = kind < 2
        yield "0.weight", mixed.first[kind][at * c : (at + 1) * c]
        yield "1.weight", mixed.first_point[slot * c : (slot + 1) * c]
        yield from _norm("2.", mixed.first_norm, slot, None if separable else weight)
        if separable:
            yield "4.weight", mixed.second[kind][at * c : (at + 1) * c]
            yield "5.weight", mixed.second_point[slot * c : (slot + 1) * c]
            yield from _norm("6.", mixed.second_norm, slot, weight)
    elif op == SKIP and mixed.stride == 2:
        kernel = mixed.reduction[at * c : (at + 1) * c]
        yield "first.weight", kernel[: c // 2]
        yield "second.weight", kernel[c // 2 :]
        yield from _norm("norm.", mixed.reduction_norm, at, weight)
    else:
        assert mixed.plain_scale is not None and mixed.plain_shift is not None
        prefix = "" if op == SKIP else "1."
        sources = len(mixed.group.sources)
        norm, slot, own = mixed.plain_norm, op * sources + mixed.group.source(at), op * count + at
        yield from _norm(prefix, norm, slot, weight, mixed.plain_scale[own], mixed.plain_shift[own])


def _norm(
    prefix: str, norm: SlotNorm, slot: int, weight: Tensor | None, scale: Tensor | None = None, shift: Tensor | None = None
) -> State:
    """Yield the state of one norm. Its scale and shift are multiplied by ``weight``.

    Args:
        prefix: start of the names.
        norm: the norms of the supernet.
        slot: index of the norm.
        weight: weight of the operation; None: weight one.
        scale: scale to use if ``norm`` has none.
        shift: shift to use if ``norm`` has none.
    """
    if norm.scale is not None and norm.shift is not None:
        scale, shift = norm.scale[slot], norm.shift[slot]
    assert scale is not None and shift is not None
    yield f"{prefix}weight", scale if weight is None else scale * weight
    yield f"{prefix}bias", shift if weight is None else shift * weight
    if norm.mean is None or norm.variance is None:
        yield f"{prefix}running_mean", torch.zeros_like(scale)
        yield f"{prefix}running_var", torch.ones_like(scale)
    else:
        yield f"{prefix}running_mean", norm.mean[slot]
        yield f"{prefix}running_var", norm.variance[slot]
