"""The DARTS space: a normal and a reduction cell, each single-path, multi-path or mixed-path."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from benchmarks.darts import genotype
from benchmarks.darts.cell import EDGE, EDGES, INPUTS, NODES, OPS, STATES, Cell, canonical, inputs, surviving
from harness.graphs import Depiction, Edge, Graph, Operation
from harness.space import Arch, InvalidArchitecture, SearchSpace

DEPICTION = Depiction(
    title="DARTS space",
    cells="normal and reduction cell",
    legend="k−2 and k−1 are the outputs of the two cells before; dotted lines lead to the output, which concatenates.",
    operations={
        "max_pool_3x3": Operation("max", "pooling"),
        "avg_pool_3x3": Operation("avg", "pooling"),
        "skip_connect": Operation("skip", "identity"),
        "sep_conv_3x3": Operation("sep 3", "convolution"),
        "sep_conv_5x5": Operation("sep 5", "convolution"),
        "dil_conv_3x3": Operation("dil 3", "convolution"),
        "dil_conv_5x5": Operation("dil 5", "convolution"),
    },
)

_NODES = ("k−2", "k−1", *map(str, range(NODES)), "out")

Family = Literal["single", "multi", "mixed"]

_RULES = {
    "single": "in a single-path cell every node has two inputs, from different predecessors, one operation each",
    "multi": "in a multi-path cell every node has at least one input",
    "mixed": "in a mixed-path cell at least one node is reached from the cell inputs",
}


class DartsSpace(SearchSpace):
    """The space of architectures of 28 small ints: for each edge of the normal and then of the reduction cell, its operations.

    An int has a bit per operation. Edges are in the order of :data:`benchmarks.darts.cell.EDGES`, bits in the order of ``OPS``.
    The string is the field's genotype. Every family contains the previous family.

    Args:
        family: ``single``: every node has two inputs from different predecessors, one operation each (DARTS). ``multi``: every
            node has at least one input (CoNAS). ``mixed``: nodes without inputs vanish, and each cell has at least one node
            (SparseNAS).
        accepts: a wider family. Its members are architectures too, but ``sample``, ``mutate``, ``neighbors`` and ``size`` use
            ``family``. Example: if both inputs of a node in ISTA-NAS read the same predecessor, the cell is of ``multi``.

    Raises:
        ValueError: an unknown family, or ``accepts`` is narrower than ``family``.
    """

    name = "darts"
    cardinalities = (1 << len(OPS),) * (2 * len(EDGES))
    chooses_edges = True
    citations = ("liu2019darts",)
    depiction = DEPICTION

    def __init__(self, family: Family = "single", accepts: Family | None = None) -> None:
        families = get_args(Family)
        for name in (family, accepts or family):
            if name not in families:
                raise ValueError(f"{name!r} is no family of cells; there are {', '.join(families)}")
        if accepts and families.index(accepts) < families.index(family):
            raise ValueError(f"the family {accepts} does not contain the family {family}")
        self.family: Family = family
        self.accepts: Family = accepts or family

    @property
    def size(self) -> int:
        """Number of architectures in the family. Isomorphic architectures are counted separately."""
        return _count(self.family) ** 2

    def __contains__(self, arch: object) -> bool:
        return super().__contains__(arch) and all(belongs(cell, self.accepts) for cell in cells(arch))  # type: ignore[arg-type]

    def sample(self, rng: random.Random) -> Arch:
        """Return an architecture drawn uniformly from the family.

        Single-path: draw two predecessors of each node, then an operation for each (the RSPS distribution). Other families:
        draw every operation on every edge with probability 1/2 (CoNAS), and draw a cell again if it is outside the family.
        """
        if self.family == "single":
            return (*_single_path(rng), *_single_path(rng))
        drawn: list[int] = []
        while len(drawn) < len(self.cardinalities):
            cell = tuple([rng.getrandbits(len(OPS)) for _ in EDGES])
            if belongs(cell, self.family):
                drawn += cell
        return tuple(drawn)

    def sample_operations(self, rng: random.Random, count: int, operations: Mapping[str, Sequence[str]]) -> Arch:
        """Return a mixed-path architecture drawn uniformly among those with ``count`` operations, in both cells together.

        Args:
            rng: source of randomness.
            count: number of operations on edges.
            operations: for each kind of cell, the names of the operations that it may have; a kind without an entry has all.

        Raises:
            ValueError: a cell cannot have an operation, or there are fewer operations on all edges together.
        """
        if count < 2 or not all(operations.get(kind, OPS) for kind in genotype.CELLS):
            raise ValueError(f"{count} operations; each of the two cells needs at least one")
        switches = [
            (cell * len(EDGES) + edge, 1 << op)
            for cell, kind in enumerate(genotype.CELLS)
            for edge in range(len(EDGES))
            for op, name in enumerate(OPS)
            if name in operations.get(kind, OPS)
        ]
        while True:
            edges = [0] * (2 * len(EDGES))
            for edge, bit in rng.sample(switches, count):
                edges[edge] |= bit
            if all(belongs(cell, "mixed") for cell in cells(tuple(edges))):
                return tuple(edges)

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return a random neighbour of an architecture.

        Single-path: draw cell, node and input uniformly. Replace the operation or the predecessor with probability 1/2 each.
        The first node has no other predecessor, so its operation is replaced. Draw the new value uniformly among the other
        values. Other families: draw uniformly among the neighbours.
        """
        if self.family != "single" or not _single(arch):
            family = self.accepts if self.family == "single" else self.family
            while True:
                neighbour = _flipped(arch, int(rng.random() * len(arch)), int(rng.random() * len(OPS)))
                if all(belongs(cell, family) for cell in cells(neighbour)):
                    return neighbour
        cell, node = int(rng.random() * 2), INPUTS + int(rng.random() * NODES)
        entering = inputs(cells(arch)[cell], node)
        position = int(rng.random() * 2)
        moves = (
            list(_rewired(entering, position, node)) if node > INPUTS and rng.random() < 0.5 else _replaced(entering, position)
        )
        return _with_inputs(arch, cell, node, moves[int(rng.random() * len(moves))])

    def neighbors(self, arch: Arch) -> Iterator[Arch]:
        """Yield the neighbours of an architecture.

        Single-path: one input has another operation or another predecessor. Other families: one operation is added or removed.
        """
        if self.family == "single" and _single(arch):
            for cell in (0, 1):
                for node in range(INPUTS, STATES):
                    entering = inputs(cells(arch)[cell], node)
                    for position in (0, 1):
                        for moved in (*_replaced(entering, position), *_rewired(entering, position, node)):
                            yield _with_inputs(arch, cell, node, moved)
            return
        family = self.accepts if self.family == "single" else self.family
        for position in range(len(arch)):
            for op in range(len(OPS)):
                neighbour = _flipped(arch, position, op)
                if all(belongs(cell, family) for cell in cells(neighbour)):
                    yield neighbour

    def canonical(self, arch: Arch) -> str:
        """Return the genotype with the canonical cells; see :func:`benchmarks.darts.cell.canonical`."""
        normal, reduce = cells(arch)
        return self.to_str((*canonical(normal), *canonical(reduce)))

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return both cells; their outputs concatenate the nodes that a cell input reaches."""
        graphs = []
        for name, cell in zip(genotype.CELLS, cells(arch), strict=True):
            edges = [Edge(source, node, OPS[op]) for node in range(INPUTS, STATES) for op, source in inputs(cell, node)]
            edges += [Edge(node, STATES) for node in surviving(cell)]
            graphs.append(Graph(_NODES, tuple(edges), name, INPUTS))
        return tuple(graphs)

    def to_str(self, arch: Arch) -> str:
        return genotype.to_text(arch)

    def from_str(self, text: str) -> Arch:
        arch = genotype.parse(text)
        if arch not in self:
            raise InvalidArchitecture(f"{text!r}: {_RULES[self.accepts]}")
        return arch


def cells(arch: Arch) -> tuple[Cell, Cell]:
    """Return the normal and the reduction cell."""
    return arch[: len(EDGES)], arch[len(EDGES) :]


def belongs(cell: Cell, family: Family) -> bool:
    """Return whether a cell is in the family."""
    if family == "mixed":
        return bool(surviving(cell))
    for node in range(INPUTS, STATES):
        edges = [cell[EDGE[node, source]] for source in range(node) if cell[EDGE[node, source]]]
        if not edges or (family == "single" and (len(edges) != 2 or any(edge & (edge - 1) for edge in edges))):
            return False
    return True


def _single(arch: Arch) -> bool:
    return all(belongs(cell, "single") for cell in cells(arch))


def _count(family: Family) -> int:
    """Return the number of cells in a family."""
    ops = len(OPS)
    if family == "single":
        return math.prod(math.comb(node, 2) * ops**2 for node in range(INPUTS, STATES))
    if family == "multi":
        return math.prod(2 ** (ops * node) - 1 for node in range(INPUTS, STATES))
    return int(
        2 ** (ops * len(EDGES)) - 2 ** (ops * (len(EDGES) - INPUTS * NODES))
    )  # minus the cells in which no operation reads an input


def _single_path(rng: random.Random) -> Cell:
    edges = [0] * len(EDGES)
    for node in range(INPUTS, STATES):
        first, second = int(rng.random() * node), int(rng.random() * (node - 1))
        for source in (first, second + (second >= first)):
            edges[EDGE[node, source]] = 1 << int(rng.random() * len(OPS))
    return tuple(edges)


def _flipped(arch: Arch, position: int, op: int) -> Arch:
    return (*arch[:position], arch[position] ^ 1 << op, *arch[position + 1 :])


def _replaced(entering: list[tuple[int, int]], position: int) -> list[list[tuple[int, int]]]:
    op, source = entering[position]
    return [[(new, source), entering[1 - position]] for new in range(len(OPS)) if new != op]


def _rewired(entering: list[tuple[int, int]], position: int, node: int) -> list[list[tuple[int, int]]]:
    taken = {source for _, source in entering}
    return [[(entering[position][0], new), entering[1 - position]] for new in range(node) if new not in taken]


def _with_inputs(arch: Arch, cell: int, node: int, entering: list[tuple[int, int]]) -> Arch:
    edges = list(arch)
    start = cell * len(EDGES) + EDGE[node, 0]
    edges[start : start + node] = [
        sum(1 << op for op, source in entering if source == predecessor) for predecessor in range(node)
    ]
    return tuple(edges)
