"""A network as a list of layers, with the order of its backward pass and a place in memory for every activation.

Written down once per architecture and executed by :mod:`benchmarks.training.native`, for any parameters. A layer may write
``into`` a value that others wrote to, which adds to it, and into some channels of it, which concatenates.
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
    """Operations of ``kernels.c``, in its order."""

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
    """Channels ``first`` to ``first + channels`` of a buffer, square images of side ``size``."""

    buffer: int
    first: int
    channels: int
    size: int
    gradient: bool = False

    def part(self, first: int, channels: int) -> Value:
        """Some of the channels."""
        return Value(self.buffer, self.first + first, channels, self.size, self.gradient)

    @property
    def backward(self) -> Value:
        """The gradient of the loss by this value."""
        return Value(self.buffer, self.first, self.channels, self.size, gradient=True)

    @property
    def range(self) -> set[int]:
        """The channels of the buffer."""
        return set(range(self.first, self.first + self.channels))


@dataclass(frozen=True)
class Step:
    """One operation on up to three values, as ``kernels.c`` says for each."""

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
"""Operations whose backward pass adds to a gradient here and there."""

_ORDER = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
"""Axes of a parameter in PyTorch in the order in which the kernels have them: output channels last."""


class _Layer(NamedTuple):
    step: Step
    x: Value | None
    y: Value


class Graph:
    """A network under construction. Its output is what :meth:`classify` answers.

    Args:
        channels, size: of the square input images.
    """

    def __init__(self, channels: int, size: int) -> None:
        self._widths: list[int] = []
        self._sides: list[int] = []
        self._written: list[set[int]] = []
        self._layers: list[_Layer] = []
        self.shapes: dict[str, tuple[int, tuple[int, ...]]] = {}
        """Where each parameter begins in the flat store, and its shape in PyTorch."""
        self.parameters = 0
        """How many there are."""
        self.statistics = 0
        """How many numbers the norms keep: means and variances."""
        self.input = self.value(channels, size)
        self._written[0] = self.input.range
        self.logits = self.input

    def value(self, channels: int, size: int) -> Value:
        """A new value that nothing is written to yet."""
        self._widths.append(channels)
        self._sides.append(size)
        self._written.append(set())
        return Value(len(self._widths) - 1, 0, channels, size)

    def empty(self, value: Value) -> bool:
        """Whether nothing is written to it: it is zero."""
        return not self._written[value.buffer] & value.range

    def convolution(self, x: Value, name: str, outputs: int, kernel: int) -> Value:
        """Without bias, at unchanged size; kernel 1 or 3."""
        y = self.value(outputs, x.size)
        weight = self._parameter(f"{name}.weight", (outputs, x.channels, kernel, kernel))
        return self._add(Op.CONVOLUTION, x, y, outputs=outputs, kernel=kernel, weight=weight)

    def norm(self, x: Value, name: str, affine: bool = True, into: Value | None = None) -> Value:
        """Batch norm."""
        y = into or self.value(x.channels, x.size)
        weight = self._parameter(f"{name}.weight", (x.channels,)) if affine else -1
        bias = self._parameter(f"{name}.bias", (x.channels,)) if affine else -1
        self.statistics += 2 * x.channels
        return self._add(Op.NORM, x, y, weight=weight, bias=bias, statistics=self.statistics - 2 * x.channels)

    def norm_of_nothing(self, name: str, into: Value) -> Value:
        """Batch norm of zeros: its shift in every pixel."""
        return self._add(Op.SHIFT, None, into, bias=self._parameter(f"{name}.bias", (into.channels,)))

    def zeros(self, into: Value) -> Value:
        """Zeros, where nothing else is written."""
        return self._add(Op.FILL, None, into)

    def relu(self, x: Value, into: Value | None = None) -> Value:
        """max(x, 0). Nothing else may write ``into`` the same channels: its gradient is told from its result."""
        if into is not None and not self.empty(into):
            raise ValueError("a ReLU is added to nothing")
        return self._add(Op.RELU, x, into or self.value(x.channels, x.size))

    def copy(self, x: Value, into: Value) -> Value:
        """x itself, for sums and concatenations."""
        return self._add(Op.ADD, x, into)

    def pool3(self, x: Value, into: Value | None = None) -> Value:
        """3x3 average pooling at unchanged size, borders averaged over what is inside."""
        return self._add(Op.POOL, x, into or self.value(x.channels, x.size))

    def max_pool3(self, x: Value, into: Value | None = None) -> Value:
        """3x3 max pooling at unchanged size."""
        return self._add(Op.MAX_POOL, x, into or self.value(x.channels, x.size))

    def halve(self, x: Value) -> Value:
        """2x2 average pooling."""
        return self._add(Op.HALVE, x, self.value(x.channels, x.size // 2))

    def halve_max(self, x: Value) -> Value:
        """2x2 max pooling."""
        return self._add(Op.HALVE_MAX, x, self.value(x.channels, x.size // 2))

    def classify(self, x: Value, name: str, classes: int) -> Value:
        """The mean over all pixels and a linear layer: the logits."""
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
        there = self._written[y.buffer]
        some = there & y.range
        if some and some != y.range:
            raise ValueError(f"{op.name} adds to channels of which some are not written yet")
        there |= y.range
        inputs = x or y
        values = (y,) if x is None else (x, y)
        self._layers.append(_Layer(Step(op, values, inputs.size, inputs.channels, add=bool(some), **details), x, y))
        return y

    def pack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Named parameters, shaped as in PyTorch, as one flat tensor: convolutions with output channels last."""
        parts = [torch.zeros(0)]
        for name, (_, shape) in self.shapes.items():
            value = values[name].reshape(shape)
            parts.append(value.permute(_ORDER[len(shape)]).flatten())
        return torch.cat(parts)

    def unpack(self, flat: Tensor) -> dict[str, Tensor]:
        """What :meth:`pack` packed, by name."""
        found = {}
        for name, (start, shape) in self.shapes.items():
            order = _ORDER[len(shape)]
            packed = flat[start : start + math.prod(shape)].view([shape[axis] for axis in order])
            found[name] = packed.permute([order.index(axis) for axis in range(len(shape))])
        return found

    def forward(self) -> list[Step]:
        """The layers in order."""
        return [layer.step for layer in self._layers]

    def backward(self) -> list[Step]:
        """From the gradient of the logits to those of all parameters on which the logits depend."""
        steps: list[Step] = []
        there: list[set[int]] = [set() for _ in self._widths]
        there[self.logits.buffer] = self.logits.range

        def fill(value: Value) -> None:
            missing = sorted(value.range - there[value.buffer])
            for channel in missing:
                gradient = Value(value.buffer, channel, 1, value.size, gradient=True)
                steps.append(Step(Op.FILL, (gradient,), value.size, 1))
            there[value.buffer] |= value.range

        for step, x, y in reversed(self._layers):
            if not there[y.buffer] & y.range:
                continue  # the loss does not depend on it
            fill(y)
            wanted = x is not None and x.buffer != self.input.buffer
            adding = False
            if x is not None and wanted:
                some = there[x.buffer] & x.range
                if some and step.op == Op.NORM:
                    raise ValueError("what a norm reads is read by nothing else")
                if some or step.op in _SCATTERING:
                    fill(x)
                adding = bool(some)
                there[x.buffer] |= x.range
            steps += _backward(step, x, y, wanted, adding)
        return steps

    def places(self, steps: list[Step], blocks: int) -> tuple[dict[tuple[int, bool], int], int]:
        """Where each buffer and gradient begins, in vectors, and how many vectors there are; what is done with is reused.

        Args:
            blocks: vectors in a batch.
        """
        uses: dict[tuple[int, bool], list[int]] = {}
        for at, step in enumerate(steps):
            for value in step.values:
                uses.setdefault((value.buffer, value.gradient), []).append(at)
        for value in (self.input, self.logits.backward):
            uses.setdefault((value.buffer, value.gradient), []).insert(0, 0)  # these are written from outside
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
        """The steps as the kernels read them: (steps, 15) int64."""
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
    found: dict[int, list[tuple[int, bool]]] = {}
    for key, at in uses.items():
        found.setdefault(choose(at), []).append(key)
    return found


def _backward(step: Step, x: Value | None, y: Value, wanted: bool, adding: bool) -> list[Step]:
    """The steps from the gradient of a layer's output to those of its input, where ``wanted``, and parameters."""

    def back(op: Op, *values: Value, add: bool = False) -> Step:
        return Step(op, values, step.size, step.inputs, step.outputs, step.kernel, step.weight, step.bias, step.statistics, add)

    given = y.backward
    if x is None:
        return [back(Op.SHIFT_BACK, given)] if step.op == Op.SHIFT else []
    found = x.backward
    if step.op == Op.CONVOLUTION:
        weight = back(Op.CONVOLUTION_WEIGHT, given, x)
        return [weight, back(Op.CONVOLUTION_INPUT, given, found, add=adding)] if wanted else [weight]
    if not wanted:
        return []
    if step.op == Op.ADD:
        return [back(Op.ADD, given, found, add=adding)]
    if step.op == Op.RELU:
        return [back(Op.RELU_BACK, given, y, found, add=adding)]
    if step.op == Op.NORM or step.op in _SCATTERING:
        return [back(Op(step.op + 1), given, x, found, add=adding)]
    return [back(Op(step.op + 1), given, found, add=adding)]
