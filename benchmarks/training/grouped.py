"""Layers that many networks share a call of: the replicas' channels lie side by side and convolutions are grouped.

An activation is (batch, replicas * channels, height, width), channels last in memory; a group of channels is one network,
and no layer mixes groups, so each network computes exactly what it would alone. Every layer has a hand-written backward
pass: it stores what it needs, writes its parameters' gradients into the store and returns the gradient of its input. That
saves a graph per step, which costs as much as the arithmetic of networks this small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_convolution_backward = torch.ops.aten.convolution_backward.default
_norm_backward = torch.ops.aten.native_batch_norm_backward.default
_relu_backward = torch.ops.aten.threshold_backward.default

relu = torch.relu


def relu_backward(gradient: Tensor, output: Tensor) -> Tensor:
    """Gradient of the input of ``relu`` from that of its ``output``."""
    found: Tensor = _relu_backward(gradient, output, 0)
    return found


class Sum:
    """A sum of activations that copies nothing it need not: ``fresh`` terms are nobody else's and may be overwritten."""

    __slots__ = ("_fresh", "value")

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self._fresh = False

    def add(self, term: Tensor, fresh: bool) -> None:
        if self.value is None:
            self.value, self._fresh = term, fresh
        elif self._fresh:
            self.value.add_(term)
        else:
            self.value, self._fresh = term.add_(self.value) if fresh else self.value + term, True

    def add_part(self, term: Tensor, channels: Tensor, whole: Tensor) -> None:
        """Adds ``term`` to these ``channels`` only; ``whole`` is any activation of the sum's shape."""
        if self.value is None:
            self.value = torch.zeros_like(whole)
        elif not self._fresh:
            self.value = self.value.clone()
        self._fresh = True
        self.value.permute(0, 2, 3, 1).index_add_(3, channels, term.permute(0, 2, 3, 1))


def part(x: Tensor, channels: Tensor) -> Tensor:
    """These channels of an activation, channels last like ``x``."""
    return x.permute(0, 2, 3, 1).index_select(3, channels).permute(0, 3, 1, 2)


class Parameters:
    """All parameters of all networks in one flat tensor, with their gradients and momenta beside it.

    A parameter belongs to some replicas and lies as (those replicas, values); a convolution's weight is kept with input
    channels last, as the kernels want it.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device | str) -> None:
        self.dtype, self.device = dtype, torch.device(device)
        self._initial: list[Tensor] = []
        self._shapes: list[tuple[int, ...]] = []
        self.names: dict[str, tuple[int, Sequence[int]]] = {}

    def add(self, name: str, replicas: Sequence[int], initial: Sequence[Mapping[str, Tensor]]) -> int:
        """Registers the parameter ``name`` of these replicas with the values ``initial[replica][name]``; answers its number."""
        values = torch.stack([initial[replica][name] for replica in replicas])
        if values.dim() == 5:
            values = values.permute(0, 1, 3, 4, 2)
        self.names[name if name not in self.names else f"{name}#{len(self._shapes)}"] = (len(self._shapes), replicas)
        self._shapes.append(tuple(values.shape))
        self._initial.append(values.flatten())
        return len(self._shapes) - 1

    def finish(self) -> None:
        """Lays everything out. Nothing can be added afterwards."""
        self.flat = torch.cat(self._initial).to(self.device, self.dtype)
        self.gradient = torch.zeros_like(self.flat)
        self.momentum = torch.zeros_like(self.flat)
        self.values = self._views(self.flat)
        self.gradients = self._views(self.gradient)
        self._initial.clear()

    def _views(self, flat: Tensor) -> list[Tensor]:
        views, sizes = [], [math.prod(shape) for shape in self._shapes]
        for piece, shape in zip(torch.split(flat, sizes), self._shapes, strict=True):
            if len(shape) == 5:  # (replicas, out, k, k, in): the weight of one grouped convolution
                views.append(piece.view(shape[0] * shape[1], *shape[2:]).permute(0, 3, 1, 2))
            elif len(shape) == 2:
                views.append(piece)
            else:
                views.append(piece.view(shape))
        return views

    def nesterov_step(self, rate: float, momentum: float, decay: float) -> None:
        """One step of SGD with Nesterov momentum and weight decay, as ``torch.optim.SGD`` makes it."""
        # the gradients stay as they are: those that are always zero are never written
        step = torch.add(self.gradient, self.flat, alpha=decay)
        self.momentum.mul_(momentum).add_(step)
        self.flat.add_(step.add_(self.momentum, alpha=momentum), alpha=-rate)


class Convolution:
    """A convolution without bias for each of some replicas, one group each."""

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        replicas: Sequence[int],
        initial: Sequence[Mapping[str, Tensor]],
        stride: int = 1,
    ) -> None:
        self._parameters, self._groups = parameters, len(replicas)
        self._number = parameters.add(f"{name}.weight", replicas, initial)
        kernel = initial[replicas[0]][f"{name}.weight"].shape[-1]
        self.channels = len(replicas) * initial[replicas[0]][f"{name}.weight"].shape[0]
        self._stride, self._padding = [stride, stride], [kernel // 2, kernel // 2]
        self._input: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self._input = x
        weight = self._parameters.values[self._number]
        return torch.conv2d(x, weight, None, self._stride, self._padding, [1, 1], self._groups)

    def backward(self, gradient: Tensor, to_input: bool = True) -> Tensor:
        """The gradient of the input; undefined where ``to_input`` is false."""
        found: Tensor
        found, weight, _ = _convolution_backward(
            gradient,
            self._input,
            self._parameters.values[self._number],
            None,
            self._stride,
            self._padding,
            [1, 1],
            False,
            [0, 0],
            self._groups,
            [to_input, True, False],
        )
        self._parameters.gradients[self._number].copy_(weight)
        return found


class Norm:
    """Batch norm; a channel of a replica is a channel, so replicas stay apart."""

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        channels: int,
        replicas: Sequence[int],
        initial: Sequence[Mapping[str, Tensor]],
        eps: float,
        momentum: float,
    ) -> None:
        self._parameters, self._eps, self._rate = parameters, eps, momentum
        self._affine = f"{name}.weight" in initial[replicas[0]]
        if self._affine:
            self._weight = parameters.add(f"{name}.weight", replicas, initial)
            self._bias = parameters.add(f"{name}.bias", replicas, initial)
        self._mean = torch.zeros(channels, dtype=parameters.dtype, device=parameters.device)
        self._variance = torch.ones_like(self._mean)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        weight = self._parameters.values[self._weight] if self._affine else None
        bias = self._parameters.values[self._bias] if self._affine else None
        y, mean, scale = torch.native_batch_norm(x, weight, bias, self._mean, self._variance, training, self._rate, self._eps)
        if training:
            self._saved = x, mean, scale
        return y

    def backward(self, gradient: Tensor) -> Tensor:
        x, mean, scale = self._saved
        weight = self._parameters.values[self._weight] if self._affine else None
        found: Tensor
        found, by_weight, by_bias = _norm_backward(
            gradient, x, weight, self._mean, self._variance, mean, scale, True, self._eps, [True, self._affine, self._affine]
        )
        if self._affine:
            self._parameters.gradients[self._weight].copy_(by_weight)
            self._parameters.gradients[self._bias].copy_(by_bias)
        return found

    def constant(self, like: Tensor) -> Tensor | None:
        """What comes out where zeros go in, in the shape of ``like``: the shift, or None where there is none."""
        if not self._affine:
            return None
        shift = self._parameters.values[self._bias].view(1, -1, 1, 1)
        return shift.expand_as(like).contiguous(memory_format=torch.channels_last)

    def constant_backward(self, gradient: Tensor) -> None:
        """The gradients of :meth:`constant`; that of the scale is zero."""
        if self._affine:
            bias = self._parameters.gradients[self._bias]
            bias.copy_(gradient.sum((0, 2, 3)).view_as(bias))


class Pool3:
    """3x3 average pooling at unchanged size, borders averaged over what is inside.

    As a depthwise convolution with ones and a division by the number of pixels: twice as fast as the pooling kernel on a CPU.
    """

    def __init__(self, channels: int, size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._channels = channels
        ones = torch.ones(channels, 1, 3, 3, dtype=dtype, device=device)
        self._ones = ones.contiguous(memory_format=torch.channels_last)
        inside = F.conv2d(torch.ones(1, 1, size, size, dtype=dtype), torch.ones(1, 1, 3, 3, dtype=dtype), padding=1)
        share = (1 / inside).expand(1, channels, size, size).to(device)
        self._share = share.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self._box(x).mul_(self._share)

    def backward(self, gradient: Tensor) -> Tensor:
        return self._box(gradient * self._share)

    def _box(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self._ones, padding=1, groups=self._channels)


def halve(x: Tensor) -> Tensor:
    """2x2 average pooling."""
    return F.avg_pool2d(x, 2)


def halve_backward(gradient: Tensor) -> Tensor:
    """Gradient of the input of :func:`halve`."""
    batch, channels, height, width = gradient.shape
    spread = (gradient.permute(0, 2, 3, 1) * 0.25).view(batch, height, 1, width, 1, channels)
    return (
        spread.expand(batch, height, 2, width, 2, channels).reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
    )
