"""A cell of the NAS-Bench-201 supernet as one differentiable function with a backward pass written by hand, for processors.

It computes what a cell of :mod:`benchmarks.nb201.supernet` computes, up to rounding, if its norms have neither scale and shift
nor statistics. On small images most time of a pass is not arithmetic, but the calls and copies of automatic differentiation.
Kernels are chosen by the size of the image: 1x1 convolutions are matrix products, and so are 3x3 convolutions of 2x2 images,
in which every pixel reaches every other. A pooling is a few shifted sums.

Tensors inside are (batch, height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmarks.nb201.network import BN_EPS, BN_MOMENTUM, CONV1, CONV3, KERNEL, NONE, POOL, SKIP, pool3
from benchmarks.nb201.space import EDGES

Run = tuple[tuple[int, ...], ...]
"""For each edge, the executed operations."""
aten = torch.ops.aten
LAST = 3
"""The output node."""
CONVOLUTIONS = (CONV3, CONV1)
LARGEST = 8
"""Side of the largest images that this is faster for."""
FEW = 8192
"""Number of pixels up to which a 1x1 convolution of 8 channels is faster as a matrix product."""
SHIFTED = 8
"""Height of the smallest images whose pooling is faster as shifted sums."""


class Group(NamedTuple):
    """Neighbouring edges that leave a node and execute the same convolution, which one call computes."""

    op: int
    start: int
    """Position of the first edge among those that leave the node."""
    edges: tuple[int, ...]


class Step(NamedTuple):
    """What happens to the value of one node."""

    skips: tuple[int, ...]
    """Edges with a skip connection."""
    pools: tuple[int, ...]
    """Edges with a pooling."""
    groups: tuple[Group, ...]


class Convolved(NamedTuple):
    """What the backward pass needs of a group."""

    y: Tensor
    """The output of the convolution, (batch, channels, height, width)."""
    mean: Tensor
    inverse: Tensor
    """One over the standard deviation."""
    gain: Tensor | None
    kernel: Tensor


@lru_cache(maxsize=65536)
def plan(run: Run) -> tuple[Step, ...]:
    """Return what the nodes 0, 1, 2 do. Edges that do not reach the output do nothing.

    Without an input the value of a node is zero. Then its convolutions and their gradients are zero, and left out.
    """
    fed, used = {0}, {LAST}
    for (target, source), ops in zip(EDGES, run, strict=True):  # sources come before targets
        if source in fed and set(ops) - {NONE}:
            fed.add(target)
    for (target, source), ops in reversed(list(zip(EDGES, run, strict=True))):
        if target in used and set(ops) & ({SKIP, POOL, *CONVOLUTIONS} if source in fed else {SKIP, POOL}):
            used.add(source)
    steps = []
    for node in range(LAST):
        leaving = [edge for edge, (_, source) in enumerate(EDGES) if source == node]
        live = [edge for edge in leaving if EDGES[edge][0] in used]
        groups: list[Group] = []
        for op in CONVOLUTIONS if node in fed else ():
            for edge in (edge for edge in live if op in run[edge]):
                position = leaving.index(edge)
                if groups and groups[-1].op == op and groups[-1].start + len(groups[-1].edges) == position:
                    groups[-1] = groups[-1]._replace(edges=(*groups[-1].edges, edge))
                else:
                    groups.append(Group(op, position, (edge,)))
        skips, pools = (tuple(edge for edge in live if op in run[edge]) for op in (SKIP, POOL))
        steps.append(Step(skips, pools, tuple(groups)))
    return tuple(steps)


class _Cell(torch.autograd.Function):
    """The cell.

    Args:
        run: for each edge, the executed operations.
        x: the input (batch, channels, height, width).
        table: weights (edges, operations) of the operations; None: all 1.
        first: number of the first operation of ``table``: 0, or 1 if ``none`` is no option.
        through: an operation that is not executed has the gradient of a number that is added. The number is zero.
        weights: for each node, the kernels (edges * channels, channels, height, width) of its edges: 3x3, then 1x1.
    """

    @staticmethod
    def forward(ctx: Any, run: Run, x: Tensor, table: Tensor | None, first: int, through: bool, *weights: Tensor) -> Tensor:
        factors = None if table is None else table.tolist()
        ctx.run, ctx.factors, ctx.first, ctx.through = run, factors, first, through
        ctx.save_for_backward(*weights)
        ctx.values = []
        nodes = _Nodes(x.permute(0, 2, 3, 1).contiguous())
        for node, step in enumerate(plan(run)):
            value = nodes.values[node]
            pooled = rectified = None
            convolved: list[Convolved] = []
            if value is not None:
                rectified = torch.relu(value)
                outputs: dict[tuple[int, ...], Tensor] = {}
                for group in step.groups:
                    scales = None if factors is None else [factors[edge][group.op - first] for edge in group.edges]
                    z, saved = _convolve(rectified, weights[_number(node, group)], group, scales)
                    convolved.append(saved)
                    outputs[group.edges] = outputs[group.edges].add_(z) if group.edges in outputs else z
                for edges, z in outputs.items():
                    pieces = (z,) if len(edges) == 1 else z.split(value.shape[3], 3)
                    for edge, piece in zip(edges, pieces, strict=True):
                        nodes.add(edge, piece, fresh=len(pieces) == 1)
                pooled = pool(value) if step.pools else value
                for op, plain, edges in ((SKIP, value, step.skips), (POOL, pooled, step.pools)):
                    for edge in edges:
                        nodes.add(edge, plain, 1.0 if factors is None else factors[edge][op - first])
            ctx.values.append((value, pooled, rectified, convolved))
        output = nodes.values[LAST]
        return torch.zeros_like(x) if output is None else output.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        weights, factors, first = ctx.saved_tensors, ctx.factors, ctx.first
        _, wants_x, wants_table, _, _, *wants_weight = ctx.needs_input_grad
        by_op: dict[tuple[int, int], Tensor] = {}
        by_weight: list[Tensor | None] = [None] * len(weights)
        of_node: list[Any] = [None, None, None, gradient.permute(0, 2, 3, 1).contiguous()]
        steps = plan(ctx.run)
        for node in reversed(range(LAST)):
            step, (value, pooled, rectified, convolved) = steps[node], ctx.values[node]
            wanted = node > 0 or wants_x
            total: Any = None
            entering_of: dict[tuple[int, ...], Tensor] = {}
            for group, saved in zip(step.groups, convolved, strict=True):
                if group.edges not in entering_of:
                    pieces = [of_node[EDGES[edge][0]] for edge in group.edges]
                    entering_of[group.edges] = pieces[0] if len(pieces) == 1 else torch.cat(pieces, 3)
                number = _number(node, group)
                by_x, part, by_gain = _convolve_backward(
                    entering_of[group.edges],
                    rectified, saved, weights[number], group, (wanted, wants_weight[number], wants_table),
                )  # fmt: skip
                if part is not None:
                    by_weight[number] = _placed(part, weights[number], group, by_weight[number])
                if by_gain is not None:
                    by_op |= {(edge, group.op): by_gain[k] for k, edge in enumerate(group.edges)}
                if by_x is not None:
                    total = by_x if total is None else total.add_(by_x)
            if total is not None:
                total = aten.threshold_backward.default(total, rectified, 0)
            for op, plain, edges in ((SKIP, value, step.skips), (POOL, pooled, step.pools)):
                joint: Any = None
                for edge in edges:
                    entering = of_node[EDGES[edge][0]]
                    if wants_table and plain is not None:
                        by_op[edge, op] = torch.dot(entering.view(-1), plain.view(-1))
                    if wanted:
                        factor = 1.0 if factors is None else factors[edge][op - first]
                        if joint is None:
                            joint = entering if factor == 1.0 and op == POOL else entering * factor
                        else:
                            joint = torch.add(joint, entering, alpha=factor)
                if joint is not None:
                    joint = pool_backward(joint) if op == POOL else joint
                    total = joint if total is None else total.add_(joint)
            of_node[node] = total
        by_table = None
        if wants_table:
            for edge, ops in enumerate(ctx.run) if ctx.through else ():
                entering = of_node[EDGES[edge][0]]
                idle = {first + k for k in range(len(factors[edge]))} - set(ops)
                if entering is not None and idle:
                    by_op |= dict.fromkeys(((edge, op) for op in idle), entering.sum())
            zero = gradient.new_zeros(())
            entries = [by_op.get((edge, first + k), zero) for edge, row in enumerate(factors) for k in range(len(row))]
            by_table = torch.stack(entries).view(len(EDGES), -1)
        by_input = None if of_node[0] is None or not wants_x else of_node[0].permute(0, 3, 1, 2)
        if wants_x and by_input is None:
            by_input = torch.zeros_like(gradient)
        return None, by_input, by_table, None, None, *by_weight


class _Nodes:
    """The values of a cell's nodes while terms are added. A sum that no other tensor shares grows in place."""

    def __init__(self, x: Tensor) -> None:
        self.values: list[Tensor | None] = [x, None, None, None]
        self._own = [False] * len(self.values)

    def add(self, edge: int, term: Tensor, factor: float = 1.0, fresh: bool = False) -> None:
        """Add ``factor * term`` to the target of an edge. A fresh term may change in place."""
        target = EDGES[edge][0]
        before = self.values[target]
        if before is not None:
            self.values[target] = before.add_(term, alpha=factor) if self._own[target] else before.add(term, alpha=factor)
            self._own[target] = True
        elif factor == 1.0 and term.is_contiguous():
            self.values[target], self._own[target] = term, fresh
        else:
            self.values[target], self._own[target] = term * factor, True


def _number(node: int, group: Group) -> int:
    return 2 * node + CONVOLUTIONS.index(group.op)


def _part(weight: Tensor, group: Group, channels: int) -> Tensor:
    """Return the kernels of a group, (outputs, height * width, inputs)."""
    count = len(group.edges)
    part = weight if weight.shape[0] == count * channels else weight.narrow(0, group.start * channels, count * channels)
    return part.permute(0, 2, 3, 1).reshape(count * channels, -1, channels)


def _placed(part: Tensor, weight: Tensor, group: Group, before: Tensor | None) -> Tensor:
    """Return the gradient by the kernels of all edges, with the part of a group in its place."""
    if len(part) == len(weight):
        return part
    full = torch.zeros_like(weight) if before is None else before
    full.narrow(0, group.start * part.shape[1], len(part)).copy_(part)
    return full


def _convolve(x: Tensor, weight: Tensor, group: Group, scales: list[float] | None) -> tuple[Tensor, Convolved]:
    """Return the normalised output of a group, edges side by side in channels, and what its backward pass needs."""
    batch, height, width, channels = x.shape
    outputs = len(group.edges) * channels
    if group.op == CONV1 and (channels > 8 or batch * height * width <= FEW):
        kernel = _part(weight, group, channels).view(outputs, channels)
        y = torch.mm(x.view(-1, channels), kernel.t().contiguous()).view(batch, height, width, outputs).permute(0, 3, 1, 2)
    elif group.op == CONV3 and height == width == 2:
        taps = _part(weight, group, channels).index_select(1, _taps())
        kernel = taps.view(outputs, 4, -1).transpose(0, 1).reshape(4 * outputs, 4 * channels)
        y = torch.mm(x.view(batch, -1), kernel.t()).view(batch, height, width, outputs).permute(0, 3, 1, 2)
    else:
        kernel = weight if weight.shape[0] == outputs else weight.narrow(0, group.start * channels, outputs)
        y = torch.conv2d(x.permute(0, 3, 1, 2), kernel, padding=KERNEL[group.op] // 2)
    gain = None
    if scales is not None:
        gain = x.new_full((channels,), scales[0]) if len(scales) == 1 else x.new_tensor(scales).repeat_interleave(channels)
    z, mean, inverse = aten.native_batch_norm.default(y, gain, None, None, None, True, BN_MOMENTUM, BN_EPS)
    return z.permute(0, 2, 3, 1), Convolved(y, mean, inverse, gain, kernel)


def _convolve_backward(
    gradient: Tensor, x: Tensor, saved: Convolved, weight: Tensor, group: Group, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients by ``x``, by the kernels of the group, and by the factor of each edge, as far as ``wanted``."""
    wants_x, wants_weight, wants_gain = wanted
    channels, outputs = x.shape[3], gradient.shape[3]
    y, mean, inverse, gain, kernel = saved
    by_y, by_gain, _ = aten.native_batch_norm_backward.default(
        gradient.permute(0, 3, 1, 2), y, gain, None, None, mean, inverse, True, BN_EPS, [True, wants_gain, False]
    )
    if wants_gain:
        by_gain = by_gain.view(len(group.edges), -1).sum(1)
    by_x = by_weight = None
    if kernel.dim() == 4:
        padding = (KERNEL[group.op] // 2,) * 2
        by_x, by_weight, _ = aten.convolution_backward.default(
            by_y, x.permute(0, 3, 1, 2), kernel, None, (1, 1), padding, (1, 1), False, (0, 0), 1, (wants_x, wants_weight, False)
        )
        by_x = by_x.permute(0, 2, 3, 1) if wants_x else None
    else:
        rows = by_y.permute(0, 2, 3, 1).reshape(-1, kernel.shape[0])
        if wants_x:
            by_x = torch.mm(rows, kernel).view(x.shape)
        if wants_weight:
            by_weight = torch.mm(x.view(len(rows), -1).t(), rows).t()  # this order is the faster one
            if group.op == CONV3:
                pairs = by_weight.reshape(4, outputs, -1).transpose(0, 1).reshape(outputs, 16, channels)
                by_weight = torch.matmul(_pairs_of_taps(x.dtype), pairs)
            side = 1 if group.op == CONV1 else 3
            by_weight = by_weight.reshape(outputs, side, side, channels).permute(0, 3, 1, 2)
    return by_x, by_weight if wants_weight else None, by_gain if wants_gain else None


@cache
def _taps() -> Tensor:
    """Return for each pair of pixels of a 2x2 image (output, then input) the tap of a 3x3 kernel between them, int64 (16,)."""
    pixels = [(row, column) for row in range(2) for column in range(2)]
    return torch.tensor([3 * (i[0] - o[0] + 1) + i[1] - o[1] + 1 for o in pixels for i in pixels])


@cache
def _pairs_of_taps(dtype: torch.dtype) -> Tensor:
    """Return (9, 16): 1 if a pair of pixels uses a tap."""
    return torch.nn.functional.one_hot(_taps(), 9).t().to(dtype).contiguous()


@cache
def _shares(height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Return one over the number of pixels that the pooling of each pixel averages, (height, width, 1)."""
    return 1 / _box(torch.ones(1, height, width, 1, dtype=dtype))[0]


def _box(x: Tensor) -> Tensor:
    """Return the sum over the 3x3 pixels around each pixel."""
    rows = x.clone()
    rows[:, 1:] += x[:, :-1]
    rows[:, :-1] += x[:, 1:]
    total = rows.clone()
    total[:, :, 1:] += rows[:, :, :-1]
    total[:, :, :-1] += rows[:, :, 1:]
    return total


def pool(x: Tensor) -> Tensor:
    """Return the 3x3 average pooling at unchanged size, over the pixels inside the image."""
    if x.shape[1] < SHIFTED:
        return pool3(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return _box(x).mul_(_shares(x.shape[1], x.shape[2], x.dtype))


def pool_backward(gradient: Tensor) -> Tensor:
    """Return the gradient by the input of :func:`pool`."""
    if gradient.shape[1] < SHIFTED:
        g = gradient.permute(0, 3, 1, 2)
        by_x: Tensor = aten.avg_pool2d_backward.default(g, g, (3, 3), (1, 1), (1, 1), False, False, None)
        return by_x.permute(0, 2, 3, 1)
    return _box(gradient * _shares(gradient.shape[1], gradient.shape[2], gradient.dtype))


class _Pointwise(torch.autograd.Function):
    """A 1x1 convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        ctx.save_for_backward(rows, weight)
        ctx.shape = x.shape
        y = torch.mm(rows, weight.view(-1, channels).t().contiguous())
        return y.view(batch, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        by_y = gradient.permute(0, 2, 3, 1).reshape(len(rows), -1)
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            batch, channels, height, width = ctx.shape
            by_x = torch.mm(by_y, weight.view(-1, channels)).view(batch, height, width, channels).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            by_weight = torch.mm(rows.t(), by_y).t().reshape(weight.shape)
        return by_x, by_weight


def cell(run: Run, x: Tensor, table: Tensor | None, first: int, through: bool, weights: Sequence[Tensor]) -> Tensor:
    """Return the value of the last node (batch, channels, height, width); see :class:`_Cell`."""
    value: Tensor = _Cell.apply(run, x, table, first, through, *weights)  # type: ignore[no-untyped-call]
    return value


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """Return the 1x1 convolution without bias as a matrix product; see :class:`_Pointwise`."""
    value: Tensor = _Pointwise.apply(x, weight)  # type: ignore[no-untyped-call]
    return value
