"""A small problem to train on, so that a weight-sharing method can be checked without data, in seconds on a CPU."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.seeds import derive
from harness.space import Arch
from harness.training import Meter
from harness.weight_sharing import Active, Decision, Metered, Pairing, Rules, everything, ranked

if TYPE_CHECKING:
    from harness.weight_sharing import Batch

OPERATIONS = ("none", "skip", "linear", "tanh")
EDGES = ((1, 0), (2, 0), (2, 1))
"""(target, source) of each edge of a cell with three nodes."""
CELLS = 2
WIDTH = 4
IMAGES = 24
SIDE = 4


torch.optim.Adam([nn.Parameter(torch.zeros(1))])  # the first optimiser imports for seconds; forked processes inherit it


class ToyTask:
    """See :class:`harness.weight_sharing.Task`: 24 training and 24 validation images of two classes, bright left or right."""

    name = "toy"
    classes = 2
    rules, rate_factor = Rules(), 1.0

    def __init__(self, world: int, device: str, charge: Meter) -> None:
        torch.set_num_threads(1)
        self.device = torch.device(device)
        self._world, self._charge = world, charge
        self._parts = {part: self._images(part) for part in ("train", "valid")}
        self._parts["full"] = tuple(torch.cat(both) for both in zip(*self._parts.values(), strict=True))
        self.images = {**{part: len(labels) for part, (_, labels) in self._parts.items()}, "plain": IMAGES}

    def supernet(
        self,
        *,
        none: bool = True,
        track: bool = False,
        track_outside: bool = True,
        plain_last: bool = False,
        bias: bool = False,
        channels: int = 0,
    ) -> ToySupernet:
        """Return the supernet with this world's weights. It has no norms and biases, so these choices have no effect."""
        return ToySupernet(none, derive("supernet", self._world), self._charge).to(self.device)

    def batches(self, part: str, batch: int, epoch: int, stream: str = "", cutout: int = 0) -> list[Batch]:
        images, labels = self._parts[part]
        order = torch.randperm(len(labels), generator=self._generator("order", part, stream, epoch))
        return [(images[rows], labels[rows]) for rows in torch.split(order, batch)]

    def pairs(self, batch: int, epoch: int, pairing: Pairing = "space") -> Iterable[tuple[Batch, Batch]]:
        """Return the bilevel loader; see the contract. The rule of this space is ``iterate``."""
        train, valid = (self.batches(part, batch, epoch, "pairs") for part in ("train", "valid"))
        if pairing == "redraw":
            valid = [self.batches("valid", batch, epoch, f"pairs {step}")[0] for step in range(len(train))]
        if pairing == "partner":
            images, labels = self._parts["valid"]
            rows = torch.randint(IMAGES, (IMAGES,), generator=self._generator("partners", epoch))
            valid = [(images[part], labels[part]) for part in torch.split(rows, batch)]
        return zip(train, valid, strict=True)

    def plain(self, part: str, batch: int, number: int) -> Batch:
        images, labels = self._parts[part]
        rows = torch.arange(number * batch, (number + 1) * batch) % len(labels)
        return images[rows], labels[rows]

    def _images(self, part: str) -> Batch:
        labels = torch.arange(IMAGES) % self.classes
        images = 0.5 * torch.randn(IMAGES, 1, SIDE, SIDE, generator=self._generator("images", part))
        images[labels == 0, :, :, : SIDE // 2] += 1
        images[labels == 1, :, :, SIDE // 2 :] += 1
        return images.to(self.device), labels.to(self.device)

    def _generator(self, *names: str | int) -> torch.Generator:
        return torch.Generator().manual_seed(derive("toy", self._world, *names))


class ToySupernet(Metered):
    """See :class:`harness.weight_sharing.Supernet`: two cells of three nodes, an operation on each edge."""

    cells = CELLS

    def __init__(self, none: bool, seed: int, meter: Meter) -> None:
        self._ops = tuple(range(len(OPERATIONS)))[0 if none else 1 :]
        targets = tuple(target for target, _ in EDGES)
        self.decisions = (Decision("operations", len(EDGES), tuple(OPERATIONS[op] for op in self._ops), targets=targets),)
        self.module = _Network()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
        self._meter = meter

    def to(self, device: torch.device) -> ToySupernet:
        self.module.to(device)
        return self

    def __call__(
        self,
        images: Tensor,
        weights: Sequence[Tensor] | Sequence[Sequence[Tensor]] | None = None,
        active: Active | list[Active] | None = None,
        *,
        straight_through: bool = False,
    ) -> Tensor:
        of_cells = self._of_cells(active)
        shared = not weights or isinstance(weights[0], Tensor)
        tables: Any = [weights] * CELLS if shared else weights
        if self.metered:
            price = self.price(len(images), active=active, training=torch.is_grad_enabled())
            self._meter(seconds=price["seconds"], epochs=price["epochs"], macs=price["macs"])
        logits: Tensor = self.module(images, of_cells, tables, self._ops, straight_through)
        return logits

    def price(
        self,
        images: int,
        weights: Sequence[Tensor] | Sequence[Sequence[Tensor]] | None = None,
        active: Active | list[Active] | None = None,
        *,
        training: bool = False,
    ) -> dict[str, float]:
        operations = sum(len(row) for cell in self._of_cells(active) for row in cell[0])
        seconds = images * (1 + operations) * (3 if training else 1) / 1000
        return {"seconds": seconds, "epochs": images / IMAGES if training else 0.0, "macs": 1000 * seconds}

    def _of_cells(self, active: Active | list[Active] | None) -> list[Any]:
        return active if isinstance(active, list) else [active or everything(self.decisions)] * CELLS

    def active_for(self, arch: Arch) -> Active:
        if min(arch) < self._ops[0]:
            raise ValueError(f"{arch} has an edge without operation, and this supernet has no 'none'")
        return (tuple((op - self._ops[0],) for op in arch),)

    def arch_of(self, active: Active) -> Arch:
        if any(len(row) > 1 for row in active[0]):
            raise ValueError(f"{active[0]} executes several operations on an edge")
        return tuple(self._ops[row[0]] if row else 0 for row in active[0])

    def derive(self, scores: Sequence[Any], rng: random.Random) -> Arch:
        table = torch.as_tensor(scores[0]).tolist()
        return tuple(self._ops[ranked(row, rng)[0]] if max(row) > 0 else 0 for row in table)


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Parameter(torch.empty(WIDTH, SIDE * SIDE))
        self.maps = nn.ParameterList(nn.Parameter(torch.empty(len(EDGES), 2, WIDTH, WIDTH)) for _ in range(CELLS))
        self.head = nn.Parameter(torch.empty(2, WIDTH))

    def forward(
        self, images: Tensor, active: Sequence[Any], weights: Sequence[Any], ops: tuple[int, ...], straight_through: bool
    ) -> Tensor:
        x = F.linear(images.flatten(1), self.stem)
        for maps, cell, tables in zip(self.maps, active, weights, strict=True):
            table = None if tables is None else tables[0]
            nodes = [x, torch.zeros_like(x), torch.zeros_like(x)]
            for edge, (target, source) in enumerate(EDGES):
                nodes[target] = nodes[target] + sum(
                    self._terms(nodes[source], maps[edge], cell[0][edge], table, edge, ops, straight_through)
                )
            x = nodes[2] + 0.1 * x  # never zero, so that every cell learns
        return F.linear(x, self.head)

    @staticmethod
    def _terms(
        x: Tensor, maps: Tensor, run: tuple[int, ...], weights: Tensor | None, edge: int, ops: tuple[int, ...], through: bool
    ) -> Iterator[Tensor | int]:
        yield 0
        for option, op in enumerate(ops):
            weight = None if weights is None else weights[..., edge, option].reshape(-1, 1)
            if option in run:
                value = (x * 0, x, F.linear(x, maps[0]), torch.tanh(F.linear(x, maps[1])))[op]
                yield value if weight is None else value * weight
            elif through and weight is not None:
                yield weight.expand_as(x)
