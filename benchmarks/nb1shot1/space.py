"""The three search spaces of NAS-Bench-1Shot1: the parents of each node, and an operation on each choice block."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Sequence

from benchmarks.nb1shot1.cell import OPS, Cell, prune
from benchmarks.nb1shot1.fingerprint import fingerprint
from harness.graphs import Depiction, Edge, Graph
from harness.space import Arch, InvalidArchitecture, SearchSpace

PARENTS = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
"""For each space, the number of parents that node 1, node 2, ... and the output have among lower-numbered nodes (0: input)."""

SHORT_OPS = tuple(op.removesuffix("-bn-relu") for op in OPS)

DEPICTION = Depiction(
    title="NAS-Bench-1Shot1 space",
    legend="Nodes of NAS-Bench-1Shot1 name their operations; dotted lines lead to the output, blocks that do not reach it are "
    "not drawn.",
)

_LABELS = ("conv 3", "conv 1", "max")
"""Labels of the operations in drawings."""

_NODE = re.compile(r"(\w+)\((\d(?:,\d)*)\)")


class NB1Shot1Space(SearchSpace):
    """Space of architectures as tuples of small ints: the parents of each node that has a choice, then an operation per block.

    Parents are numbered in lexicographic order of their combinations; operations as in ``cell.OPS``. The string form is
    ``conv3x3(0) maxpool3x3(0,1) ... output(1,4)``: operation and parents of node 1, node 2, ..., the output. Blocks that do not
    reach the output ("loose ends") are allowed and make no difference to the network.

    Args:
        number: 1, 2 or 3.
        admitted: numbers of the topologies that ``sample``, ``mutate``, ``neighbors`` and ``size`` use; None: all topologies.
            An architecture with another topology still belongs to the space.
    """

    name = "nb1shot1"
    citations = ("zela2020nasbench1shot1", "ying2019nasbench101")
    depiction = DEPICTION

    def __init__(self, number: int, admitted: Sequence[int] | None = None) -> None:
        self.number = number
        self.blocks = len(PARENTS[number]) - 1
        choices = [list(itertools.combinations(range(node), count)) for node, count in enumerate(PARENTS[number], 1)]
        self.taken = PARENTS[number]
        """Number of parents of node 1, node 2, ... and the output."""
        self._fixed = sum(len(combinations) == 1 for combinations in choices)
        self._choices = choices[self._fixed :]
        self._forced = [combinations[0] for combinations in choices[: self._fixed]]
        self._parents = tuple(len(combinations) for combinations in self._choices)
        self.cardinalities = self._parents + (len(OPS),) * self.blocks
        self._strides = tuple(math.prod(self.cardinalities[position + 1 :]) for position in range(len(self.cardinalities)))
        self._terms = [{a: a * stride for a in range(n)} for n, stride in zip(self.cardinalities, self._strides, strict=True)]
        self.topologies = math.prod(self._parents)
        """Number of choices of all parents. The topology of an architecture has the number ``index // 3**blocks``."""
        self.assignments: int = len(OPS) ** self.blocks
        self.admitted = None if admitted is None else tuple(sorted(set(admitted)))
        self._inside = None if self.admitted is None else frozenset(self.admitted)

    @property
    def size(self) -> int:
        """Return the number of architectures with an admitted topology, loose ends included."""
        topologies = self.topologies if self.admitted is None else len(self.admitted)
        return topologies * self.assignments

    def sample(self, rng: random.Random) -> Arch:
        """Return an architecture: draw an admitted topology, then every operation, uniformly."""
        if self.admitted is None:
            return super().sample(rng)
        topology = self.admitted[int(rng.random() * len(self.admitted))]
        return self.at(topology * self.assignments + int(rng.random() * self.assignments))

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return the mutation of the paper's scripts: no change, another parent or another operation, probability 1/3 each.

        If the new topology is not admitted, the complete mutation is drawn again.
        """
        while True:
            kind = int(rng.random() * 3)
            if kind == 0:
                return arch
            if kind == 1:
                return self.change(arch, len(self._parents) + int(rng.random() * self.blocks), rng)
            child = self._rewire(arch, int(rng.random() * len(self._parents)), rng)
            if self.admits(child):
                return child

    def _rewire(self, arch: Arch, position: int, rng: random.Random) -> Arch:
        combinations = self._choices[position]
        parents = combinations[arch[position]]
        free = [node for node in range(position + 1 + self._fixed) if node not in parents]
        leaving, entering = parents[int(rng.random() * len(parents))], free[int(rng.random() * len(free))]
        chosen = tuple(sorted({*parents, entering} - {leaving}))
        return (*arch[:position], combinations.index(chosen), *arch[position + 1 :])

    def neighbors(self, arch: Arch) -> Iterator[Arch]:
        """Return every admitted architecture that differs in one node's parents or in one operation."""
        return (neighbor for neighbor in super().neighbors(arch) if self.admits(neighbor))

    def admits(self, arch: Arch) -> bool:
        """Return whether the architecture's topology is admitted."""
        return self._inside is None or self.index(arch) // self.assignments in self._inside

    def index(self, arch: Arch) -> int:
        """Return the architecture's number; operations vary fastest. Raises :class:`InvalidArchitecture`."""
        try:
            index = sum([terms[value] for terms, value in zip(self._terms, arch, strict=True)])
            if type(sum(arch)) is not int:  # 1.0 finds the term of 1
                raise TypeError
        except (KeyError, TypeError, ValueError):
            raise InvalidArchitecture(f"{arch!r} is not an architecture of NAS-Bench-1Shot1 space {self.number}") from None
        return index

    def at(self, index: int) -> Arch:
        """Return the architecture with this number."""
        if not 0 <= index < self.topologies * self.assignments:
            raise InvalidArchitecture(f"index {index} is outside 0 to {self.topologies * self.assignments - 1}")
        return tuple([index // stride % size for stride, size in zip(self._strides, self.cardinalities, strict=True)])

    def parents(self, arch: Arch) -> list[tuple[int, ...]]:
        """Return the parents of node 1, node 2, ..., and the output."""
        return self._forced + [combinations[a] for combinations, a in zip(self._choices, arch, strict=False)]

    def arch(self, parents: Sequence[tuple[int, ...]], ops: Sequence[int]) -> Arch:
        """Return the architecture with these parents of node 1, ..., the output (each ascending) and these operations."""
        chosen = [c.index(p) for c, p in zip(self._choices, parents[self._fixed :], strict=True)]
        return (*chosen, *ops)

    def without_loose_ends(self, arch: Arch) -> Arch:
        """Return an architecture of the same network: every block that does not reach the output has its first choices.

        Applied to a sample of the space, this is what the paper's scripts call sampling without loose ends. They grow the cell
        from the output backwards. Both procedures draw every remaining choice uniformly.
        """
        used = self.used(arch)
        parents = [a if position + 1 + self._fixed in used else 0 for position, a in enumerate(arch[: len(self._parents)])]
        ops = [a if block in used else 0 for block, a in enumerate(arch[len(self._parents) :], 1)]
        return (*parents, *ops)

    def used(self, arch: Arch) -> frozenset[int]:
        """Return the nodes that reach the output, with the output and the input."""
        parents = self.parents(arch)
        used = {self.blocks + 1}
        for node in range(self.blocks + 1, 0, -1):
            if node in used:
                used.update(parents[node - 1])
        return frozenset(used)

    def cell(self, arch: Arch) -> Cell:
        """Return the cell of NAS-Bench-101 that the architecture is, without loose ends.

        The paper's scripts add an unconnected node to reach seven vertices. Pruning would remove this node again.
        """
        size = self.blocks + 2
        parents: list[tuple[int, ...]] = [(), *self.parents(arch)]
        matrix = [[int(source in parents[target]) for target in range(size)] for source in range(size)]
        return prune(matrix, arch[len(self._parents) :])

    def canonical(self, arch: Arch) -> str:
        """Return NAS-Bench-101's graph hash, which isomorphic cells share."""
        return fingerprint(self.cell(arch))

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return the cell. Its operations are in the nodes; only edges between nodes that reach the output are in it."""
        used = self.used(arch)
        labels = [_LABELS[op] for op in arch[len(self._parents) :]]
        parents = enumerate(self.parents(arch), 1)
        edges = [Edge(source, node) for node, sources in parents if node in used for source in sources]
        return (Graph(("in", *labels, "out"), tuple(edges)),)

    def to_str(self, arch: Arch) -> str:
        ops = [SHORT_OPS[op] for op in arch[len(self._parents) :]]
        parents = (",".join(map(str, nodes)) for nodes in self.parents(arch))
        return " ".join(f"{name}({nodes})" for name, nodes in zip([*ops, "output"], parents, strict=True))

    def from_str(self, text: str) -> Arch:
        nodes = [_NODE.fullmatch(word) for word in text.split()]
        if len(nodes) != self.blocks + 1 or None in nodes:
            raise InvalidArchitecture(f"{text!r} is not of the form op(parents) ... output(parents) with {self.blocks} blocks")
        names = [node[1] for node in nodes if node]
        parents = [tuple(map(int, node[2].split(","))) for node in nodes if node]
        for name in names[:-1]:
            if name not in SHORT_OPS:
                raise InvalidArchitecture(f"{text!r}: no operation {name!r}; there are {', '.join(SHORT_OPS)}")
        if names[-1] != "output":
            raise InvalidArchitecture(f"{text!r} does not end with output(parents)")
        allowed = [[forced] for forced in self._forced] + self._choices
        for node, (chosen, combinations) in enumerate(zip(parents, allowed, strict=True), 1):
            if chosen not in combinations:
                raise InvalidArchitecture(
                    f"{text!r}: node {node} takes {PARENTS[self.number][node - 1]} of the nodes 0 to {node - 1}, ascending"
                )
        return self.arch(parents, [SHORT_OPS.index(name) for name in names[:-1]])
