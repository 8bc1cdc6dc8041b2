"""All operations on the edges that leave states of a DARTS cell, executed together.

The edges that leave the two inputs form one group; the edges that leave a node form another. Each source of a group has one
ReLU, and one pooling of each kind with one norm. All depthwise convolutions of one kernel are one call. All pointwise
convolutions are one call, and all their norms are one call. The weights of the operations are folded into these norms.
Operations without weight are not executed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.darts.plan import CONVS, KERNEL, MAX, SKIP, Group, Plan

BN_EPS, BN_MOMENTUM = 1e-5, 0.1


class SlotNorm(nn.Module):
    """The batch norms of several slots side by side. The weights of the slots are folded into the scales.

    Args:
        slots: number of norms.
        channels: channels of each norm.
        affine: the norms have scale and shift.
        track: the norms keep running statistics for evaluation.
    """

    mean: Tensor | None
    variance: Tensor | None

    def __init__(self, slots: int, channels: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(slots, channels)) if affine else None
        self.shift = nn.Parameter(torch.zeros(slots, channels)) if affine else None
        self.free: Tensor | None = None
        """bool (slots, 1): slots whose scale and shift are trained; None: all."""
        self.register_buffer("mean", torch.zeros(slots, channels) if track else None)
        self.register_buffer("variance", torch.ones(slots, channels) if track else None)

    def forward(self, x: Tensor, index: Tensor | None, weights: Tensor | None = None) -> Tensor:
        """Return ``x``, normalised and weighted.

        Args:
            x: (batch, slots * channels, height, width).
            index: numbers of the slots in ``x``; None: all.
            weights: (slots,), a factor of each slot; None: weight one.
        """
        scale, shift = chosen(trained(self.scale, self.free), index), chosen(trained(self.shift, self.free), index)
        if weights is not None:
            by_slot = weights.unsqueeze(-1)
            scale = by_slot.expand(len(weights), x.shape[1] // len(weights)) if scale is None else scale * by_slot
            shift = None if shift is None else shift * by_slot
        if self.mean is None or self.variance is None:
            return F.batch_norm(x, None, None, _flat(scale), _flat(shift), True, BN_MOMENTUM, BN_EPS)
        mean = self.mean if index is None else self.mean[index]
        variance = self.variance if index is None else self.variance[index]
        y = F.batch_norm(x, mean.view(-1), variance.view(-1), _flat(scale), _flat(shift), self.training, BN_MOMENTUM, BN_EPS)
        if self.training and index is not None:
            self.mean[index], self.variance[index] = mean, variance
        return y


def trained(stored: Tensor | None, free: Tensor | None) -> Tensor | None:
    """Return a stored parameter. Entries that are not free get no gradient."""
    return stored if stored is None or free is None else torch.where(free, stored, stored.detach())


def chosen(stored: Tensor | None, index: Tensor | None) -> Tensor | None:
    """Return the entries of the slots in ``index``; None: all."""
    return stored if stored is None or index is None else stored[index]


def _flat(values: Tensor | None) -> Tensor | None:
    """Return contiguous values. PyTorch's backward pass of a channels-last norm reads past the end of an expanded scale."""
    return None if values is None else values.reshape(-1).contiguous()


class MixedEdges(nn.Module):
    """One group of edges of one cell with all their operations.

    Args:
        group: the edges.
        channels: channels that the operations work on.
        stride: 2 if the group halves the size.
        affine: norms have scale and shift, and also follow poolings and skip connections, one norm per edge.
        track: norms keep running statistics for evaluation.
    """

    def __init__(self, group: Group, channels: int, stride: int, affine: bool, track: bool) -> None:
        super().__init__()
        if stride == 2 and channels % 2:
            raise ValueError(f"{channels} channels cannot be halved; the operations of a reduction cell need an even number")
        self.group, self.channels, self.stride, self.affine = group, channels, stride, affine
        count = len(group.edges)
        self.first = nn.ParameterList(_kernels(count * channels, 1, KERNEL[op]) for op in CONVS)
        self.second = nn.ParameterList(_kernels(count * channels, 1, KERNEL[op]) for op in CONVS[:2])
        self.first_point = _kernels(4 * count * channels, channels, 1)
        self.second_point = _kernels(2 * count * channels, channels, 1)
        self.first_norm = SlotNorm(4 * count, channels, affine, track)
        self.second_norm = SlotNorm(2 * count, channels, affine, track)
        kinds = 3 if stride == 1 else 2
        self.plain_norm = SlotNorm((kinds if affine else 2) * len(group.sources), channels, False, track)
        self.plain_scale = nn.Parameter(torch.ones(kinds * count, channels)) if affine else None
        self.plain_shift = nn.Parameter(torch.zeros(kinds * count, channels)) if affine else None
        self.plain_free: Tensor | None = None
        """bool (kinds of operation * edges, 1), like :attr:`SlotNorm.free`."""
        if stride == 2:
            self.reduction = _kernels(count * channels, channels, 1)
            self.reduction_norm = SlotNorm(count, channels, affine, track)

    def forward(
        self, values: Sequence[Tensor], run: Plan, weights: Tensor | None, keep: Tensor | None = None
    ) -> list[Tensor | None]:
        """Return what the group adds to each of its targets, None for a target for which it executes nothing.

        Args:
            values: the sources, (batch, channels, height, width) each.
            run: the operations to execute.
            weights: weights of the slots, (slots,), or (batch, slots) if each image has its own; None: weight one.
            keep: factors (batch, slots) of the outputs of the slots.
        """
        if keep is not None:
            weights = keep if weights is None else keep * weights
        sums = _Sums(self.group, self.channels)
        rest = run.separable + run.dilated + len(run.reductions)
        if rest:
            rectified = [F.relu(value) for value in values]
            if run.separable or run.dilated:
                self._convolve(rectified, run, weights, sums)
            if run.reductions:
                slots = None if weights is None else weights[..., rest - len(run.reductions) : rest]
                sums.add(self._reduce(rectified, run, slots), (run.reductions,))
        if run.plain:
            self._pass_on(values, run, None if weights is None else weights[..., rest:], sums)
        return sums.totals()

    def freeze_affine(self, rows: Collection[int]) -> dict[nn.Parameter, Tensor]:
        """Freeze the scale and shift of operations that enter some targets, and unfreeze those of all other operations.

        Args:
            rows: indices of the targets.

        Returns:
            for each scale and shift, a bool mask of the frozen values.
        """
        by_edge = torch.tensor([self.group.row(at) not in rows for at in range(len(self.group.edges))])
        kinds = 3 if self.stride == 1 else 2
        self.plain_free = _repeated(by_edge, kinds, self.first_point.device)
        norms = [(self.first_norm, 4), (self.second_norm, 2)] + ([(self.reduction_norm, 1)] if self.stride == 2 else [])
        frozen: dict[nn.Parameter, Tensor] = {}
        for norm, times in norms:
            norm.free = _repeated(by_edge, times, self.first_point.device)
            frozen |= {value: ~norm.free.expand_as(value) for value in (norm.scale, norm.shift) if value is not None}
        plain = (self.plain_scale, self.plain_shift)
        return frozen | {value: ~self.plain_free.expand_as(value) for value in plain if value is not None}

    def _convolve(self, rectified: Sequence[Tensor], run: Plan, weights: Tensor | None, sums: _Sums) -> None:
        separable, c = run.separable, self.channels
        sources: dict[tuple[int, ...], Tensor] = {}
        for positions in run.convs:
            if positions and positions not in sources:
                sources[positions] = torch.cat([rectified[self.group.source(at)] for at in positions], 1)
        y = _joined(
            self._depthwise(self.first[kind], sources[positions], positions, self.stride, 2 if kind > 1 else 1)
            for kind, positions in enumerate(run.convs)
            if positions
        )
        y = F.conv2d(y, self._pointwise(self.first_point, run.at.first), groups=y.shape[1] // c)
        own = weights is not None and weights.dim() == 2
        ends = weights
        if weights is not None:
            ends = weights[..., : separable + run.dilated]
        scale = None
        if ends is not None and not own and run.dilated:
            scale = torch.cat([torch.ones_like(ends[:separable]), ends[separable:]])
        y = self.first_norm(y, run.at.first, scale)
        if run.dilated:
            dilated = y[:, separable * c :]
            sums.add(_times(dilated, ends[..., separable:]) if ends is not None and own else dilated, run.convs[2:])
        if separable:
            halves = torch.split(y[:, : separable * c], [len(positions) * c for positions in run.convs[:2]], 1)
            y = _joined(
                self._depthwise(self.second[kind], F.relu(half), positions, 1, 1)
                for kind, (half, positions) in enumerate(zip(halves, run.convs[:2], strict=True))
                if positions
            )
            y = F.conv2d(y, self._pointwise(self.second_point, run.at.second), groups=separable)
            ends = None if ends is None else ends[..., :separable]
            y = self.second_norm(y, run.at.second, None if own else ends)
            sums.add(_times(y, ends) if ends is not None and own else y, run.convs[:2])

    def _depthwise(self, stored: Tensor, x: Tensor, positions: tuple[int, ...], stride: int, dilation: int) -> Tensor:
        kernel = stored.shape[-1]
        if len(positions) < len(self.group.edges):
            by_edge = stored.view(len(self.group.edges), self.channels, 1, kernel, kernel)
            stored = torch.cat([by_edge[at] for at in positions])
        if dilation == 1:
            return F.conv2d(x, stored, None, stride, kernel // 2, 1, x.shape[1])
        return dilated(x, stored, stride)

    def _pointwise(self, stored: Tensor, index: Tensor | None) -> Tensor:
        if index is None:
            return stored
        c = stored.shape[1]
        return stored.view(-1, self.channels, c, 1, 1)[index].view(-1, c, 1, 1)

    def _reduce(self, rectified: Sequence[Tensor], run: Plan, weights: Tensor | None) -> Tensor:
        """Return the skip connections that halve the size: two 1x1 convolutions each, the second shifted by one pixel."""
        shifts = [(x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]) for x in rectified]
        x = torch.cat([half for at in run.reductions for half in shifts[self.group.source(at)]], 1)
        x = F.conv2d(x, self._pointwise(self.reduction, run.at.reduced), groups=2 * len(run.reductions))
        own = weights is not None and weights.dim() == 2
        y = self.reduction_norm(x, run.at.reduced, None if own else weights)
        return _times(y, weights) if weights is not None and own else y

    def _pass_on(self, values: Sequence[Tensor], run: Plan, weights: Tensor | None, sums: _Sums) -> None:
        """Add the poolings, and the skip connections at unchanged size."""
        pooled = [
            F.max_pool2d(values[source], 3, self.stride, 1)
            if op == MAX
            else F.avg_pool2d(values[source], 3, self.stride, 1, count_include_pad=False)
            for op, source in run.values
            if op != SKIP
        ]
        skipped = [values[source] for op, source in run.values if op == SKIP]
        if self.affine:
            x = self.plain_norm(torch.cat([*pooled, *skipped], 1), run.at.normed)
        else:
            x = _joined([*([self.plain_norm(torch.cat(pooled, 1), run.at.normed)] if pooled else ()), *skipped])
        factors = weights
        if factors is None:
            factors = x.new_ones(len(run.plain))
        factors = factors.unsqueeze(-1)
        scale, shift = trained(self.plain_scale, self.plain_free), trained(self.plain_shift, self.plain_free)
        if scale is not None and shift is not None:
            factors, shift = factors * scale[run.at.own], factors * shift[run.at.own]
        batch, rows, kinds = factors.shape[:-2], len(run.rows), len(run.values)
        table = factors.new_zeros(*batch, rows * kinds, factors.shape[-1]).index_copy(-2, run.at.cells, factors)
        if shift is not None:
            shift = shift.new_zeros(*batch, rows, self.channels).index_add(-2, run.at.cells // kinds, shift)
        sums.rows(spread(x, table.view(*batch, rows, kinds, -1), self.channels, shift), run.rows)


def spread(x: Tensor, table: Tensor, channels: int, shift: Tensor | None = None) -> Tensor:
    """Return weighted sums of the values in ``x``, (batch, rows * channels, height, width).

    Args:
        x: (batch, values * channels, height, width).
        table: weights (..., rows, values, channels or 1), with the batch in front if each image has its own.
        channels: channels of a value.
        shift: (..., rows, channels), added to the sums, with the batch in front likewise.
    """
    rows, values = table.shape[-3:-1]
    flat = None if shift is None else shift.flatten(-2)
    if table.dim() == 3:  # a 1x1 convolution by a sparse matrix
        kernel = torch.diag_embed(table.expand(-1, -1, channels)).transpose(1, 2)
        return F.conv2d(x, kernel.reshape(rows * channels, values * channels, 1, 1), flat)
    y = torch.einsum(
        "brvc,bvchw->brchw", table.to(x.dtype).expand(-1, -1, -1, channels), x.view(len(x), values, channels, *x.shape[2:])
    ).flatten(1, 2)
    return y if flat is None else y + flat.to(y.dtype)[:, :, None, None]


def dilated(x: Tensor, kernels: Tensor, stride: int) -> Tensor:
    """Return the output of a depthwise convolution with dilation 2. It keeps the size, or halves it with stride 2.

    A dilated convolution reads every second pixel, so it equals a plain convolution of these pixels: of one quarter of the
    image with stride 2, of each quarter with stride 1. Plain convolutions are several times faster, above all backward.
    """
    batch, channels, height, width = x.shape
    padding = kernels.shape[-1] // 2
    if stride == 2:
        return F.conv2d(x[:, :, ::2, ::2], kernels, None, 1, padding, 1, channels)
    if height % 2 or width % 2:
        return F.conv2d(x, kernels, None, 1, 2 * padding, 2, channels)
    half = (height // 2, width // 2)
    quarters = x.permute(0, 2, 3, 1).reshape(batch, half[0], 2, half[1], 2, channels).permute(2, 4, 0, 1, 3, 5)
    y = F.conv2d(quarters.reshape(-1, *half, channels).permute(0, 3, 1, 2), kernels, None, 1, padding, 1, channels)
    back = y.permute(0, 2, 3, 1).reshape(2, 2, batch, *half, channels).permute(2, 3, 0, 4, 1, 5)
    return back.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class _Sums:
    """The terms that are added to the targets of a group."""

    def __init__(self, group: Group, channels: int) -> None:
        self.group, self.channels = group, channels
        self._all: list[Tensor] = []
        """(batch, targets, channels, ...) each: terms for all targets."""
        self._single: list[list[Tensor]] = [[] for _ in group.targets]

    def add(self, y: Tensor, kinds: Sequence[tuple[int, ...]]) -> None:
        """Add the outputs of slots.

        Args:
            y: (batch, slots * channels, height, width).
            kinds: for each kind of operation, the positions of its edges, in the order of the slots.
        """
        edges, rows, c = len(self.group.edges), len(self.group.targets), self.channels
        if all(len(positions) == edges for positions in kinds):
            split = y.view(len(y), len(kinds), rows, edges // rows, c, *y.shape[2:])
            self._all.append(split.sum((1, 3), dtype=y.dtype) if len(kinds) * edges > rows else split[:, 0, :, 0])
            return
        slots = [at for positions in kinds for at in positions]
        for at, term in zip(slots, torch.split(y, c, 1), strict=True):
            self._single[self.group.row(at)].append(term)

    def rows(self, y: Tensor, rows: Sequence[int]) -> None:
        """Add ``y`` (batch, rows * channels, height, width): one sum for each of these targets."""
        for row, term in zip(rows, torch.split(y, self.channels, 1), strict=True):
            self._single[row].append(term)

    def totals(self) -> list[Tensor | None]:
        """Return the sum of each target, None for a target without terms."""
        joint = added(self._all)
        return [added(single if joint is None else [*single, joint[:, row]]) for row, single in enumerate(self._single)]


def added(terms: Sequence[Tensor | None]) -> Tensor | None:
    """Return the sum of the terms that are not None; None if all terms are None."""
    present = [term for term in terms if term is not None]
    return sum(present[1:], present[0]) if present else None


def _joined(parts: Iterable[Tensor]) -> Tensor:
    tensors = list(parts)
    return torch.cat(tensors, 1) if len(tensors) > 1 else tensors[0]


def _times(y: Tensor, weights: Tensor) -> Tensor:
    """Return ``y`` (batch, slots * channels, height, width) times the weights (batch, slots) of each image."""
    return y * weights.to(y.dtype).repeat_interleave(y.shape[1] // weights.shape[1], 1)[:, :, None, None]


def _repeated(by_edge: Tensor, times: int, device: torch.device) -> Tensor:
    return by_edge.repeat(times).unsqueeze(-1).to(device)


def _kernels(outputs: int, inputs: int, size: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(outputs, inputs, size, size))
