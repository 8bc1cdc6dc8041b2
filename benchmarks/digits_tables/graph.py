"""A network as a list of layers, with the order of its backward pass and a place in memory for every activation.

A graph is built once per architecture, and :mod:`benchmarks.digits_tables.native` executes it with any parameters. A layer may
write ``into`` a value that another layer has written; then it adds to the value. It may write into some channels of a value;
then the value concatenates the outputs of its layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Op(IntEnum):
    """The operations of ``kernels.c``, in the same order."""

    FILL = 0
    ADD = 1
    RELU = 2
    RELU_BACK = 3
    POOL = 4
    POOL_BACK = 5
    MAX_POOL = 6
    MAX_POOL_BACK = 7
    HALVE = 8
    HALVE_BACK = 9
    HALVE_MAX = 10
    HALVE_MAX_BACK = 11
    MEAN = 12
    MEAN_BACK = 13
    SHIFT = 14
    SHIFT_BACK = 15
    NORM = 16
    NORM_BACK = 17
    CONVOLUTION = 18
    CONVOLUTION_INPUT = 19
    CONVOLUTION_WEIGHT = 20


@dataclass(frozen=True)
class Value:
    """Channels ``first`` to ``first + channels - 1`` of a buffer of square images with side ``size`` (pixels)."""

    buffer: int
    first: int
    channels: int
    size: int
    gradient: bool = False

    def part(self, first: int, channels: int) -> Value:
        """Return ``channels`` channels from ``first`` on."""
        return Value(self.buffer, self.first + first, channels, self.size, self.gradient)

    @property
    def backward(self) -> Value:
        """The gradient of the loss with respect to this value."""
        return Value(self.buffer, self.first, self.channels, self.size, gradient=True)

    @property
    def range(self) -> set[int]:
        """The channels of the buffer."""
        return set(range(self.first, self.first + self.channels))


@dataclass(frozen=True)
class Step:
    """One operation on up to three values. ``kernels.c`` defines their roles."""

    op: Op
    values: tuple[Value, ...]
    size: int
    inputs: int
    outputs: int = 0
    kernel: int = 0
    weight: int = -1
    bias: int = -1
    statistics: int = -1
    add: bool = False


_SCATTERING = (Op.MAX_POOL, Op.HALVE_MAX)
"""Operations whose backward pass adds to single elements of a gradient."""

_ORDER = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
"""By number of axes, the axes of a PyTorch parameter in the order of the kernels: output channels last."""


class _Layer(NamedTuple):
    step: Step
    x: Value | None
    y: Value


class Graph:
    """A network under construction. Its output is the value that :meth:`classify` returns.

    Args:
        channels: channels of the input images.
        size: side of the square input images, pixels.
    """

    def __init__(self, channels: int, size: int) -> None:
        self._widths: list[int] = []
        self._sides: list[int] = []
        self._written: list[set[int]] = []
        self._layers: list[_Layer] = []
        self.shapes: dict[str, tuple[int, tuple[int, ...]]] = {}
        """The offset of each parameter in the flat store, and its shape in PyTorch."""
        self.parameters = 0
        """Number of parameters."""
        self.statistics = 0
        """Number of running statistics of the norms: means and variances."""
        self.input = self.value(channels, size)
        self._written[0] = self.input.range
        self.logits = self.input

    def value(self, channels: int, size: int) -> Value:
        """Return a new value. No layer has written it yet."""
        self._widths.append(channels)
        self._sides.append(size)
        self._written.append(set())
        return Value(len(self._widths) - 1, 0, channels, size)

    def empty(self, value: Value) -> bool:
        """Return whether no layer has written the value. Such a value is zero."""
        return not self._written[value.buffer] & value.range

    def convolution(self, x: Value, name: str, outputs: int, kernel: int) -> Value:
        """Add a convolution without bias that keeps the size. ``kernel`` is 1 or 3."""
        y = self.value(outputs, x.size)
        weight = self._parameter(f"{name}.weight", (outputs, x.channels, kernel, kernel))
        return self._add(Op.CONVOLUTION, x, y, outputs=outputs, kernel=kernel, weight=weight)

    def norm(self, x: Value, name: str, affine: bool = True, into: Value | None = None) -> Value:
        """Add a batch norm."""
        y = into or self.value(x.channels, x.size)
        weight = self._parameter(f"{name}.weight", (x.channels,)) if affine else -1
        bias = self._parameter(f"{name}.bias", (x.channels,)) if affine else -1
        self.statistics += 2 * x.channels
        return self._add(Op.NORM, x, y, weight=weight, bias=bias, statistics=self.statistics - 2 * x.channels)

    def norm_of_nothing(self, name: str, into: Value) -> Value:
        """Add the batch norm of zeros: its shift in every pixel."""
        return self._add(Op.SHIFT, None, into, bias=self._parameter(f"{name}.bias", (into.channels,)))

    def zeros(self, into: Value) -> Value:
        """Write zeros into a value that no other layer writes."""
        return self._add(Op.FILL, None, into)

    def relu(self, x: Value, into: Value | None = None) -> Value:
        """Add max(x, 0). No other layer may write the same channels: the backward pass reads the sign from the output."""
        if into is not None and not self.empty(into):
            raise ValueError("a ReLU cannot be added to another value")
        return self._add(Op.RELU, x, into or self.value(x.channels, x.size))

    def copy(self, x: Value, into: Value) -> Value:
        """Copy ``x`` into a value, for sums and concatenations."""
        return self._add(Op.ADD, x, into)

    def pool3(self, x: Value, into: Value | None = None) -> Value:
        """Add a 3x3 average pooling that keeps the size. At the border it averages the pixels inside the image."""
        return self._add(Op.POOL, x, into or self.value(x.channels, x.size))

    def max_pool3(self, x: Value, into: Value | None = None) -> Value:
        """Add a 3x3 max pooling that keeps the size."""
        return self._add(Op.MAX_POOL, x, into or self.value(x.channels, x.size))

    def halve(self, x: Value) -> Value:
        """Add a 2x2 average pooling."""
        return self._add(Op.HALVE, x, self.value(x.channels, x.size // 2))

    def halve_max(self, x: Value) -> Value:
        """Add a 2x2 max pooling."""
        return self._add(Op.HALVE_MAX, x, self.value(x.channels, x.size // 2))

    def classify(self, x: Value, name: str, classes: int) -> Value:
        """Add the mean over all pixels and a linear layer, and return the logits."""
        features = self._add(Op.MEAN, x, self.value(x.channels, 1))
        logits = self.value(classes, 1)
        weight = self._parameter(f"{name}.weight", (classes, x.channels))
        self._add(Op.CONVOLUTION, features, logits, outputs=classes, kernel=1, weight=weight)
        self.logits = self._add(Op.SHIFT, None, logits, bias=self._parameter(f"{name}.bias", (classes,)))
        return logits

    def _parameter(self, name: str, shape: tuple[int, ...]) -> int:
        start = self.parameters
        self.shapes[name] = start, shape
        self.parameters += math.prod(shape)
        return start

    def _add(self, op: Op, x: Value | None, y: Value, **details: int) -> Value:
        written = self._written[y.buffer]
        overlap = written & y.range
        if overlap and overlap != y.range:
            raise ValueError(f"{op.name} adds to a value with channels that are not written yet")
        written |= y.range
        inputs = x or y
        values = (y,) if x is None else (x, y)
        self._layers.append(_Layer(Step(op, values, inputs.size, inputs.channels, add=bool(overlap), **details), x, y))
        return y

    def pack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return named PyTorch parameters as one flat tensor, convolutions with output channels last."""
        parts = [torch.zeros(0)]
        for name, (_, shape) in self.shapes.items():
            value = values[name].reshape(shape)
            parts.append(value.permute(_ORDER[len(shape)]).flatten())
        return torch.cat(parts)

    def unpack(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the parameters in a flat tensor by name, shaped as in PyTorch."""
        values = {}
        for name, (start, shape) in self.shapes.items():
            order = _ORDER[len(shape)]
            packed = flat[start : start + math.prod(shape)].view([shape[axis] for axis in order])
            values[name] = packed.permute([order.index(axis) for axis in range(len(shape))])
        return values

    def forward(self) -> list[Step]:
        """Return the steps of the forward pass."""
        return [layer.step for layer in self._layers]

    def backward(self) -> list[Step]:
        """Return the steps from the gradient of the logits to the gradients of all parameters that the logits depend on."""
        steps: list[Step] = []
        written: list[set[int]] = [set() for _ in self._widths]
        written[self.logits.buffer] = self.logits.range

        def fill(value: Value) -> None:
            missing = sorted(value.range - written[value.buffer])
            for channel in missing:
                gradient = Value(value.buffer, channel, 1, value.size, gradient=True)
                steps.append(Step(Op.FILL, (gradient,), value.size, 1))
            written[value.buffer] |= value.range

        for step, x, y in reversed(self._layers):
            if not written[y.buffer] & y.range:
                continue  # the loss does not depend on this layer
            fill(y)
            wanted = x is not None and x.buffer != self.input.buffer
            adding = False
            if x is not None and wanted:
                overlap = written[x.buffer] & x.range
                if overlap and step.op == Op.NORM:
                    raise ValueError("no other layer may read the input of a norm")
                if overlap or step.op in _SCATTERING:
                    fill(x)
                adding = bool(overlap)
                written[x.buffer] |= x.range
            steps += _backward(step, x, y, wanted, adding)
        return steps

    def places(self, steps: list[Step], blocks: int) -> tuple[dict[tuple[int, bool], int], int]:
        """Return the offset of each buffer and gradient, in vectors, and the total number of vectors.

        Buffers share memory if no step needs them at the same time.

        Args:
            steps: the steps of both passes.
            blocks: vectors in a batch.
        """
        uses: dict[tuple[int, bool], list[int]] = {}
        for at, step in enumerate(steps):
            for value in step.values:
                uses.setdefault((value.buffer, value.gradient), []).append(at)
        for value in (self.input, self.logits.backward):
            uses.setdefault((value.buffer, value.gradient), []).insert(0, 0)  # written before the first step
        begins, ends = _by(uses, min), _by(uses, max)
        free: dict[int, list[int]] = {}
        places: dict[tuple[int, bool], int] = {}
        total = 0
        for at in range(len(steps)):
            for key in begins.get(at, ()):
                vectors = self._widths[key[0]] * self._sides[key[0]] ** 2 * blocks
                if free.get(vectors):
                    places[key] = free[vectors].pop()
                else:
                    places[key], total = total, total + vectors
            for key in ends.get(at, ()):
                vectors = self._widths[key[0]] * self._sides[key[0]] ** 2 * blocks
                free.setdefault(vectors, []).append(places[key])
        return places, total

    def code(self, steps: list[Step], places: Mapping[tuple[int, bool], int]) -> npt.NDArray[np.int64]:
        """Return the steps as the kernels read them: int64 (steps, 15)."""
        rows = []
        for step in steps:
            values = [
                number
                for value in step.values
                for number in (places[value.buffer, value.gradient] + value.first, self._widths[value.buffer])
            ]
            values += [0] * (6 - len(values))
            geometry = (step.size, step.inputs, step.outputs, step.kernel)
            rows.append([int(step.op), *values, *geometry, step.weight, step.bias, step.statistics, int(step.add)])
        return np.array(rows, np.int64).reshape(len(rows), 15)


def _by(uses: Mapping[tuple[int, bool], list[int]], choose: Callable[[list[int]], int]) -> dict[int, list[tuple[int, bool]]]:
    keys: dict[int, list[tuple[int, bool]]] = {}
    for key, at in uses.items():
        keys.setdefault(choose(at), []).append(key)
    return keys


def _backward(step: Step, x: Value | None, y: Value, wanted: bool, adding: bool) -> list[Step]:
    """Return the steps from the gradient of a layer's output to those of its parameters and, if ``wanted``, of its input."""

    def back(op: Op, *values: Value, add: bool = False) -> Step:
        return Step(op, values, step.size, step.inputs, step.outputs, step.kernel, step.weight, step.bias, step.statistics, add)

    outer = y.backward
    if x is None:
        return [back(Op.SHIFT_BACK, outer)] if step.op == Op.SHIFT else []
    inner = x.backward
    if step.op == Op.CONVOLUTION:
        weight = back(Op.CONVOLUTION_WEIGHT, outer, x)
        return [weight, back(Op.CONVOLUTION_INPUT, outer, inner, add=adding)] if wanted else [weight]
    if not wanted:
        return []
    if step.op == Op.ADD:
        return [back(Op.ADD, outer, inner, add=adding)]
    if step.op == Op.RELU:
        return [back(Op.RELU_BACK, outer, y, inner, add=adding)]
    if step.op == Op.NORM or step.op in _SCATTERING:
        return [back(Op(step.op + 1), outer, x, inner, add=adding)]
    return [back(Op(step.op + 1), outer, inner, add=adding)]
