"""The networks whose training steps are predicted: the passes of one batch, counted on the meta device."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts import supernet as darts_supernet
from benchmarks.darts import task as darts
from benchmarks.darts.macro import Macro
from benchmarks.darts.network import Network
from benchmarks.darts.published import named
from benchmarks.darts.space import DartsSpace
from benchmarks.gpu.counts import Count, Work, as_on_gpu
from benchmarks.nb1shot1 import supernet as nb1shot1_supernet
from benchmarks.nb1shot1 import task as nb1shot1
from benchmarks.nb1shot1.space import NB1Shot1Space
from benchmarks.nb201 import supernet as nb201_supernet
from benchmarks.nb201 import task as nb201
from benchmarks.nb201.space import NB201Space
from harness.device import precision
from harness.space import SearchSpace

Executed = Literal["all operations", "one cell", "one cell, straight-through"]
META = torch.device("meta")


class Convolution(NamedTuple):
    """The shape of a convolution of square images and kernels."""

    batch: int
    inputs: int
    """Channels."""
    outputs: int
    size: int
    """Height and width of the input, pixels."""
    kernel: int
    stride: int
    padding: int
    dilation: int
    groups: int


@cache
def retraining(cell: str, macro: Macro, batch: int, drop_path: bool, reduced: bool = True) -> Work:
    """Return the work of one step of a training from scratch, without the optimiser.

    Args:
        cell: the name or the genotype of a cell.
        drop_path: operations are dropped.
        reduced: in the types in which a GPU computes; False: float32.
    """
    with META:
        network = Network(named(cell), macro).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss() -> Tensor:
        images, labels = _batch(batch, macro.channels, macro.size)
        keep = torch.empty(network.droppable, batch, 1, 1, 1, dtype=precision(META), device=META) if drop_path else None
        logits, auxiliary = network(images, keep)
        total = F.cross_entropy(logits.float(), labels)
        return total if auxiliary is None else total + 0.4 * F.cross_entropy(auxiliary.float(), labels)

    return _counted(network, loss, reduced)


@cache
def supernet(space: str, dataset: str, batch: int, executed: Executed = "all operations", partial: int = 1) -> Work:
    """Return the work of one training pass of a supernet.

    Args:
        space: ``nb201``, ``nb1shot1`` (its first space) or ``darts``.
        dataset: the data set whose network it is, ``cifar10`` or ``digits``.
        executed: the options that the pass executes. The cell is the same in every pass.
        partial: operations work on one of this many channels (PC-DARTS).
    """
    net: Any
    cells: SearchSpace
    if space == "nb201":
        macro = nb201.MACROS[dataset]
        channels, size, cells = macro.channels, macro.size, NB201Space()
        net = nb201_supernet.Supernet(replace(macro, affine=False), none=executed != "all operations")
    elif space == "nb1shot1":
        around, size = nb1shot1.MACROS[dataset]
        channels, cells = around.channels, NB1Shot1Space(1)
        net = nb1shot1_supernet.Supernet(cells, replace(around, width=around.width, partial=partial))
    else:
        wide = darts.MACROS[dataset]
        channels, size, cells = wide.channels, wide.size, DartsSpace("single")
        net = darts_supernet.Supernet(wide, partial=partial, edges=partial > 1)
    net.module.to(META)
    active = None if executed == "all operations" else net.active_for(cells.sample(random.Random(0)))

    def loss() -> Tensor:
        images, labels = _batch(batch, channels, size)
        shapes = [(decision.rows, len(decision.options)) for decision in net.decisions]
        tables = None if executed == "one cell" else [torch.empty(shape, device=META, requires_grad=True) for shape in shapes]
        logits = net(images, tables, active, straight_through=executed == "one cell, straight-through")
        return F.cross_entropy(logits.float(), labels)

    return _counted(net.module, loss)


def _batch(batch: int, channels: int, size: int) -> tuple[Tensor, Tensor]:
    images = torch.empty(batch, channels, size, size, dtype=precision(META), device=META)
    return images.contiguous(memory_format=torch.channels_last), torch.empty(batch, dtype=torch.int64, device=META)


def _counted(module: nn.Module, loss: Callable[[], Tensor], reduced: bool = True) -> Work:
    """Return the work of a forward and a backward pass."""
    module.train()
    with as_on_gpu() if reduced else nullcontext():
        with Count() as forward:
            total = loss()
        with Count() as backward:
            total.backward()
    work: Work = replace(forward.work + backward.work, macs=forward.work.macs)
    return work


def convolutions(cell: str, macro: Macro, batch: int) -> dict[Convolution, int]:
    """Return the different convolutions of a training from scratch, each with the number of its layers."""
    shapes: Counter[Convolution] = Counter()
    with META:
        network = Network(named(cell), macro)

    def note(layer: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        height = inputs[0].shape[2]
        settings = layer.kernel_size[0], layer.stride[0], layer.padding[0], layer.dilation[0], layer.groups
        shapes[Convolution(batch, layer.in_channels, layer.out_channels, height, *settings)] += 1

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    network(*_batch(batch, macro.channels, macro.size)[:1])
    return dict(shapes)
