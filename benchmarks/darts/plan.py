"""The operations that a DARTS cell executes in a pass, in groups of edges whose sources are computed at the same time.

A plan has vectors of indices, which the device needs. All vectors of a pass are copied to it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.darts.cell import EDGES, INPUTS, OPS, STATES
from harness.device import upload

MAX, AVG, SKIP, SEP3, SEP5, DIL3, DIL5 = range(len(OPS))
CONVS = (SEP3, SEP5, DIL3, DIL5)
KERNEL = {SEP3: 3, SEP5: 5, DIL3: 3, DIL5: 5}


class Group(NamedTuple):
    """Edges whose sources are computed at the same time. A position is the index of an edge in the group, target by target."""

    sources: tuple[int, ...]
    edges: tuple[int, ...]
    targets: tuple[int, ...]

    def row(self, position: int) -> int:
        """Return the index in ``targets`` of the edge's target."""
        return position // len(self.sources)

    def source(self, position: int) -> int:
        """Return the index in ``sources`` of the edge's source."""
        return position % len(self.sources)


def _group(*sources: int) -> Group:
    edges = tuple(edge for edge, (_, source) in enumerate(EDGES) if source in sources)
    return Group(sources, edges, tuple(range(max(INPUTS, sources[-1] + 1), STATES)))


GROUPS = (_group(0, 1), _group(2), _group(3), _group(4))

Rows = tuple[tuple[int, ...], ...]
"""For each edge of a cell, the numbers of the executed operations."""
Mask = tuple[tuple[bool, ...], ...]


class Vectors(NamedTuple):
    """The indices of a plan, int64."""

    cells: Tensor
    """Positions of ``plain`` in the table of ``rows`` and ``values``."""
    own: Tensor
    """For each entry of ``plain``, the index of its scale and shift among those of the group."""
    slots: Tensor
    """For each slot, ``edge * len(OPS) + operation``."""
    identities: Tensor
    """1 for the slots that are bare identities: skip connections at unchanged size without a norm; else 0."""
    first: Tensor | None
    """Indices of the executed first convolutions among those of the group; None: all."""
    second: Tensor | None
    """The same for second convolutions."""
    reduced: Tensor | None
    """The same for skip connections that halve the size."""
    normed: Tensor | None
    """The same for norms of ``values``."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The operations that a group executes in a pass. A slot is an operation on an edge; slots have the order of the fields."""

    convs: tuple[tuple[int, ...], ...]
    """For each of ``CONVS``, the positions of its edges."""
    reductions: tuple[int, ...]
    """Positions whose skip connection halves the size."""
    plain: tuple[tuple[int, int], ...]
    """(position, operation) of each pooling and each skip connection at unchanged size."""
    values: tuple[tuple[int, int], ...]
    """(operation, source) of each value that ``plain`` reads. Each value is computed once. Poolings come first."""
    rows: tuple[int, ...]
    """Indices of the targets that ``plain`` enters."""
    at: Vectors

    @property
    def separable(self) -> int:
        return len(self.convs[0]) + len(self.convs[1])

    @property
    def dilated(self) -> int:
        return len(self.convs[2]) + len(self.convs[3])


@lru_cache(maxsize=1024)
def plan(group: Group, operations: Rows, stride: int, affine: bool) -> Plan:
    """Return the plan by which ``group`` executes these operations, on the CPU.

    Args:
        group: the edges.
        operations: for each edge of the cell, the operations to execute.
        stride: 2 if the operations halve the size.
        affine: norms also follow poolings and skip connections.
    """
    running = [operations[edge] for edge in group.edges]
    convs = tuple(tuple(at for at, ops in enumerate(running) if op in ops) for op in CONVS)
    reductions = tuple(at for at, ops in enumerate(running) if stride == 2 and SKIP in ops)
    kinds = (MAX, AVG) if stride == 2 else (MAX, AVG, SKIP)
    norms = len(kinds) if affine else 2
    entries = [(at, op) for at, ops in enumerate(running) for op in kinds if op in ops]
    values = tuple(sorted({(op, group.source(at)) for at, op in entries}))
    rows = sorted({group.row(at) for at, _ in entries})
    cells = [rows.index(group.row(at)) * len(values) + values.index((op, group.source(at))) for at, op in entries]
    slots = [(at, op) for op, positions in zip(CONVS, convs, strict=True) for at in positions]
    slots += [(at, SKIP) for at in reductions] + entries
    count = len(group.edges)

    def numbers(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64)

    def index(values: list[int], size: int) -> Tensor | None:
        return None if len(values) == size else numbers(values)

    first = [kind * count + at for kind, positions in enumerate(convs) for at in positions]
    return Plan(
        convs,
        reductions,
        tuple(entries),
        values,
        tuple(rows),
        Vectors(
            numbers(cells),
            numbers([op * count + at for at, op in entries]),
            numbers([group.edges[at] * len(OPS) + op for at, op in slots]),
            numbers([int(op == SKIP and stride == 1 and not affine) for _, op in slots]),
            index(first, 4 * count),
            index([slot for slot in first if slot < 2 * count], 2 * count),
            index(list(reductions), count),
            index(
                [op * len(group.sources) + source for op, source in values if affine or op != SKIP], norms * len(group.sources)
            ),
        ),
    )


@lru_cache(maxsize=64)
def placed(
    plans: tuple[Plan, ...], masks: tuple[Mask | None, ...], device: torch.device
) -> tuple[list[Plan], list[Tensor | None]]:
    """Return plans with their vectors on a device, and masks there, bool. All of them are one copy."""
    host = [None if mask is None else torch.tensor(mask) for mask in masks]
    if device.type == "cpu":
        return list(plans), host
    vectors = [vector for run in plans for vector in run.at] + [
        None if mask is None else mask.long().flatten() for mask in host
    ]
    present = [vector for vector in vectors if vector is not None]
    parts = iter(torch.split(upload(torch.cat(present), device), [len(vector) for vector in present]))
    on_device = [None if vector is None else next(parts) for vector in vectors]
    width = len(Vectors._fields)
    moved = [replace(run, at=Vectors(*on_device[k * width : (k + 1) * width])) for k, run in enumerate(plans)]  # type: ignore[arg-type]
    flags = zip(host, on_device[len(plans) * width :], strict=True)
    return moved, [None if mask is None or flat is None else flat.view(mask.shape).bool() for mask, flat in flags]
