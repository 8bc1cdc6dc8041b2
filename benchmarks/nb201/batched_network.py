"""Many NAS-Bench-201 networks trained in one set of calls: replicas of one cell, of different cells, or both.

Each replica computes what :class:`benchmarks.nb201.network.Network` of its cell computes alone. Where all replicas have the
same cell nothing is moved; where they differ, the replicas that use an operation on an edge are gathered for one call of it.
Edges that reach nothing are left out: they have no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.nb201.network import BN_EPS, BN_MOMENTUM, KERNEL, POOL, SKIP, STAGES, Macro, used_edges
from benchmarks.nb201.space import EDGES
from benchmarks.training.grouped import (
    Convolution,
    Norm,
    Parameters,
    Pool3,
    Sum,
    halve,
    halve_backward,
    part,
    relu,
    relu_backward,
)
from harness.space import Arch

Initial = Sequence[Mapping[str, Tensor]]


class BatchedNetwork:
    """The networks of ``cells[r]`` with the parameters ``initial[r]`` (by name, as ``initial_parameters`` answers them).

    Input (batch, replicas * channels, size, size), channels last; logits (replicas, batch, classes).
    Reductions must be poolings: ``macro.reduction == "pool"``.
    """

    def __init__(
        self,
        cells: Sequence[Arch],
        macro: Macro,
        initial: Initial,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if macro.reduction != "pool":
            raise ValueError(f"reduction {macro.reduction!r} is not implemented for many networks at once; take 'pool'")
        self.replicas = len(cells)
        self.parameters = Parameters(dtype, device)
        everyone = range(self.replicas)
        self._stem = _ConvNorm(self.parameters, "stem", everyone, initial)
        self._stages: list[list[_Cell]] = []
        self._reductions: list[Convolution] = []
        for stage in range(STAGES):
            if stage:
                name = f"reductions.{stage - 1}.shortcut"
                self._reductions.append(Convolution(self.parameters, name, everyone, initial))
            channels, size = macro.stage(stage)
            self._stages.append(
                [
                    _Cell(self.parameters, cells, f"stages.{stage}.{depth}", channels, size, initial)
                    for depth in range(macro.depth)
                ]
            )
        self._width = macro.stage(STAGES - 1)[0]
        self._norm = Norm(self.parameters, "norm", self.replicas * self._width, everyone, initial, BN_EPS, BN_MOMENTUM)
        self._weight = self.parameters.add("classifier.weight", everyone, initial)
        self._bias = self.parameters.add("classifier.bias", everyone, initial)
        self.parameters.finish()
        self._classes = macro.classes

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Logits (replicas, batch, classes). In training, batch statistics are used and what ``backward`` needs is kept."""
        x = self._stem.forward(x, training)
        for stage, cells in enumerate(self._stages):
            if stage:
                x = self._reductions[stage - 1].forward(halve(x))
            for cell in cells:
                x = cell.forward(x, training)
        self._last = relu(self._norm.forward(x, training))
        self._features = self._last.mean((2, 3)).view(len(x), self.replicas, self._width).transpose(0, 1)
        weight, bias = self.parameters.values[self._weight], self.parameters.values[self._bias]
        return torch.baddbmm(bias.view(self.replicas, 1, self._classes), self._features, weight.transpose(1, 2))

    def backward(self, gradient: Tensor) -> None:
        """Fills ``parameters.gradient`` from the gradient of the logits of the last ``forward`` in training."""
        gradients = self.parameters.gradients
        torch.bmm(gradient.transpose(1, 2), self._features, out=gradients[self._weight])
        gradients[self._bias].view(self.replicas, self._classes).copy_(gradient.sum(1))
        by_features = torch.bmm(gradient, self.parameters.values[self._weight]).transpose(0, 1)
        batch, channels, height, width = self._last.shape
        spread = (by_features.reshape(batch, 1, 1, channels) / (height * width)).expand(batch, height, width, channels)
        masked = relu_backward(spread.contiguous().permute(0, 3, 1, 2), self._last)
        found = self._norm.backward(masked)
        for stage in reversed(range(STAGES)):
            for cell in reversed(self._stages[stage]):
                found = cell.backward(found)
            if stage:
                found = halve_backward(self._reductions[stage - 1].backward(found))
        self._stem.backward(found, to_input=False)


class _ConvNorm:
    """Convolution and batch norm of some replicas."""

    def __init__(self, parameters: Parameters, name: str, replicas: Sequence[int], initial: Initial) -> None:
        self._conv = Convolution(parameters, f"{name}.conv", replicas, initial)
        self.norm = Norm(parameters, f"{name}.norm", self._conv.channels, replicas, initial, BN_EPS, BN_MOMENTUM)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return self.norm.forward(self._conv.forward(x), training)

    def backward(self, gradient: Tensor, to_input: bool = True) -> Tensor:
        return self._conv.backward(self.norm.backward(gradient), to_input)


class _Use:
    """One operation on one edge, for the replicas that have it there. ``channels`` is None where that is all of them."""

    def __init__(self, edge: int, op: int, layer: _ConvNorm | None, channels: Tensor | None) -> None:
        self.target, self.source = EDGES[edge]
        self.op, self.layer, self.channels = op, layer, channels


class _Cell:
    """The cells of all replicas at one place of the network."""

    def __init__(
        self, parameters: Parameters, cells: Sequence[Arch], name: str, channels: int, size: int, initial: Initial
    ) -> None:
        used = [set(used_edges(cell)) for cell in cells]
        self._uses: list[_Use] = []
        for edge in range(len(EDGES)):
            for op in (SKIP, POOL, *KERNEL):
                owners = [r for r, cell in enumerate(cells) if cell[edge] == op and edge in used[r]]
                if not owners:
                    continue
                layer = _ConvNorm(parameters, f"{name}.{edge}", owners, initial) if op in KERNEL else None
                where = None
                if len(owners) < len(cells):
                    first = torch.tensor(owners, device=parameters.device)[:, None] * channels
                    where = (first + torch.arange(channels, device=parameters.device)).flatten()
                self._uses.append(_Use(edge, op, layer, where))
        self._pool = Pool3(len(cells) * channels, size, parameters.dtype, parameters.device)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        nodes = [Sum() for _ in range(4)]
        nodes[0].add(x, fresh=False)
        rectified: dict[int, Tensor] = {}
        pooled: dict[int, Tensor] = {}
        for use in self._uses:
            source, value, term = use.source, nodes[use.source].value, None
            if value is None:
                # Nothing reaches the source. Convolution makes zeros of zeros and the norm makes its shift of them.
                term = use.layer.norm.constant(x if use.channels is None else part(x, use.channels)) if use.layer else None
            elif use.layer is not None:
                if source not in rectified:
                    rectified[source] = relu(value)
                inputs = rectified[source] if use.channels is None else part(rectified[source], use.channels)
                term = use.layer.forward(inputs, training)
            else:
                if use.op == POOL and source not in pooled:
                    pooled[source] = self._pool.forward(value)
                term = pooled[source] if use.op == POOL else value
                if use.channels is not None:
                    term = part(term, use.channels)
            if term is None:
                continue
            if use.channels is None:
                nodes[use.target].add(term, fresh=use.layer is not None)
            else:
                nodes[use.target].add_part(term, use.channels, x)
        self._input, self._rectified = x, rectified
        self._dead = [node.value is None for node in nodes]
        output = nodes[3].value
        return torch.zeros_like(x) if output is None else output

    def backward(self, gradient: Tensor) -> Tensor:
        nodes = [Sum() for _ in range(4)]
        nodes[3].add(gradient, fresh=False)
        for source in (2, 1, 0):
            through_relu, through_pool, total = Sum(), Sum(), nodes[source]
            for use in self._uses:
                given = nodes[use.target].value
                if use.source != source or given is None:
                    continue
                if use.channels is not None:
                    given = part(given, use.channels)
                if self._dead[source]:
                    if use.layer is not None:
                        use.layer.norm.constant_backward(given)
                    continue
                if use.layer is not None:
                    given = use.layer.backward(given)
                into = through_relu if use.layer is not None else through_pool if use.op == POOL else total
                if use.channels is None:
                    into.add(given, fresh=use.layer is not None)
                else:
                    into.add_part(given, use.channels, self._input)
            if through_relu.value is not None:
                total.add(relu_backward(through_relu.value, self._rectified[source]), fresh=True)
            if through_pool.value is not None:
                total.add(self._pool.backward(through_pool.value), fresh=True)
        found = nodes[0].value
        return torch.zeros_like(gradient) if found is None else found
