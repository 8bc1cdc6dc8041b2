"""The space of recurrent cells: single-path as in DARTS, or mixed-path as in SparseNAS and CoNAS."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Literal

from benchmarks.darts_rnn import cell as cells
from benchmarks.darts_rnn import genotype
from benchmarks.darts_rnn.cell import ACTIVATIONS, EDGES, NODES, Inputs, inputs, surviving
from harness.graphs import Depiction, Edge, Graph, Operation
from harness.space import Arch, InvalidArchitecture, SearchSpace

DEPICTION = Depiction(
    title="Recurrent cells of DARTS",
    cells="recurrent cell",
    legend="0 is the state from the input and the hidden state; dotted lines lead to the output, the mean of the nodes.",
    operations={
        "tanh": Operation("tanh"),
        "relu": Operation("ReLU"),
        "sigmoid": Operation("σ"),
        "identity": Operation("identity", "identity"),
    },
)

Family = Literal["single", "mixed"]


class RnnSpace(SearchSpace):
    """The space of architectures of 36 small ints: for each edge of the cell, its activations as bits.

    Edges are in the order of :data:`benchmarks.darts_rnn.cell.EDGES`, bits in the order of ``ACTIVATIONS``. The string is
    DARTS' genotype.

    Args:
        accepts: ``single``: every node has one input and one activation (DARTS). ``mixed``: edges have any number of
            activations, nodes without inputs vanish, and at least one node survives (SparseNAS, CoNAS). The mixed family
            contains the single-path cells. ``sample``, ``mutate``, ``neighbors`` and ``size`` are those of the single-path
            cells; a mixed cell moves among mixed cells.
    """

    name = "darts_rnn"
    cardinalities = (1 << len(ACTIVATIONS),) * len(EDGES)
    chooses_edges = True
    citations = ("liu2019darts",)
    depiction = DEPICTION

    def __init__(self, accepts: Family = "single") -> None:
        self.accepts = accepts

    @property
    def size(self) -> int:
        """Number of single-path cells. Isomorphic cells are counted separately."""
        return math.prod(node * len(ACTIVATIONS) for node in range(1, NODES + 1))

    def __contains__(self, arch: object) -> bool:
        return super().__contains__(arch) and belongs(arch, self.accepts)  # type: ignore[arg-type]

    def sample(self, rng: random.Random) -> Arch:
        """Return a single-path cell, drawn uniformly: for each node a predecessor and an activation (RSPS)."""
        return cells.cell_of(
            [[(int(rng.random() * len(ACTIVATIONS)), int(rng.random() * node))] for node in range(1, NODES + 1)]
        )

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return a neighbour, drawn uniformly."""
        around = list(self.neighbors(arch))
        return around[int(rng.random() * len(around))]

    def neighbors(self, arch: Arch) -> Iterator[Arch]:
        """Yield the neighbours of a cell.

        Single-path: a node has another activation or another predecessor. Mixed: an activation is added or removed.
        """
        if not belongs(arch, "single"):
            for position in range(len(EDGES)):
                for number in range(len(ACTIVATIONS)):
                    neighbour = (*arch[:position], arch[position] ^ 1 << number, *arch[position + 1 :])
                    if belongs(neighbour, self.accepts):
                        yield neighbour
            return
        nodes = [inputs(arch, node) for node in range(1, NODES + 1)]
        for node, ((number, source),) in enumerate(nodes, 1):
            moves: list[Inputs] = [[(other, source)] for other in range(len(ACTIVATIONS)) if other != number]
            moves += [[(number, other)] for other in range(node) if other != source]
            for move in moves:
                yield cells.cell_of([*nodes[: node - 1], move, *nodes[node:]])

    def canonical(self, arch: Arch) -> str:
        """Return the genotype of the canonical cell; see :func:`benchmarks.darts_rnn.cell.canonical`."""
        return self.to_str(cells.canonical(arch))

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return the cell; its output is the mean of the nodes that state 0 reaches."""
        edges = [
            Edge(source, node, ACTIVATIONS[number]) for node in range(1, NODES + 1) for number, source in inputs(arch, node)
        ]
        edges += [Edge(node, NODES + 1) for node in surviving(arch)]
        return (Graph((*map(str, range(NODES + 1)), "out"), tuple(edges), "recurrent", 1),)

    def to_str(self, arch: Arch) -> str:
        return genotype.to_text(arch)

    def from_str(self, text: str) -> Arch:
        arch = genotype.parse(text)
        if arch not in self:
            rule = (
                "in a single-path cell every node has one predecessor and one activation"
                if self.accepts == "single"
                else "in a mixed-path cell at least one node is reached from state 0"
            )
            raise InvalidArchitecture(f"{text!r}: {rule}")
        return arch


def belongs(arch: Arch, family: Family) -> bool:
    """Return whether a cell is in the family."""
    if family == "mixed":
        return bool(surviving(arch))
    return all(len(inputs(arch, node)) == 1 for node in range(1, NODES + 1))
