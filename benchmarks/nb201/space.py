"""The NAS-Bench-201 cell space: 4 nodes, 6 edges, 5 operations, 15 625 cells."""

from __future__ import annotations

import itertools
import random
import re
from array import array
from functools import cache

from harness.graphs import Depiction, Edge, Graph, Operation
from harness.space import Arch, InvalidArchitecture, SearchSpace

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations, in the order of the official code."""

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(target, source) of each position of an architecture, in the order of the string form."""

DEPICTION = Depiction(
    title="NAS-Bench-201 space",
    legend="Node 0 is the cell's input, node 3 its output; edges without a line have no operation.",
    operations={
        "none": Operation("none", "zero"),
        "skip_connect": Operation("skip", "identity"),
        "nor_conv_1x1": Operation("conv 1×1", "convolution"),
        "nor_conv_3x3": Operation("conv 3×3", "convolution"),
        "avg_pool_3x3": Operation("pool", "pooling"),
    },
)

_FORM = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


class NB201Space(SearchSpace):
    """Cells as tuples of six operation numbers; strings as ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""

    name = "nb201"
    cardinalities = (len(OPS),) * len(EDGES)
    citations = ("dong2020nasbench201",)
    depiction = DEPICTION

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Return the paper's mutation: draw a target node, one of its inputs, and another operation, each uniformly.

        Edge 1<-0 is therefore changed three times as often as each edge into node 3.
        """
        node = 1 + int(rng.random() * 3)
        return self.change(arch, node * (node - 1) // 2 + int(rng.random() * node), rng)

    def sample_connected(self, rng: random.Random) -> Arch:
        """Return a cell in which every node has an input that is not ``none`` (NATS-Bench's sampling).

        The inputs of a node are drawn again until this is true.
        """
        cell: list[int] = []
        for node in (1, 2, 3):
            inputs = [0] * node
            while not any(inputs):
                inputs = [int(rng.random() * len(OPS)) for _ in range(node)]
            cell += inputs
        return tuple(cell)

    def is_linear(self, arch: Arch) -> bool:
        """Return whether no convolution is on a path through the cell: its output is a linear function of its input."""
        reached = {0: False}
        """For each node with a path from the input, whether a convolution is on one of them."""
        for (target, source), op in zip(EDGES, arch, strict=True):
            if op != OPS.index("none") and source in reached:
                convolves = OPS[op] in ("nor_conv_1x1", "nor_conv_3x3")
                reached[target] = reached.get(target, False) or reached[source] or convolves
        return not reached.get(3, False)

    def sample_without_none(self, rng: random.Random) -> Arch:
        """Return a cell without ``none``, drawn uniformly."""
        return tuple([1 + int(rng.random() * (len(OPS) - 1)) for _ in EDGES])

    def graphs(self, arch: Arch) -> tuple[Graph, ...]:
        """Return the cell, with an operation on every edge."""
        return (Graph(("0", "1", "2", "3"), tuple(map(_edge, range(len(EDGES)), arch))),)

    def to_str(self, arch: Arch) -> str:
        a, b, c, d, e, f = (OPS[op] for op in arch)
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    def from_str(self, text: str) -> Arch:
        form = _FORM.fullmatch(text.strip())
        if form is None:
            raise InvalidArchitecture(f"{text!r} is not of the form |op~0|+|op~0|op~1|+|op~0|op~1|op~2|")
        try:
            return tuple(OPS.index(op) for op in form.groups())
        except ValueError:
            wrong = next(op for op in form.groups() if op not in OPS)
            raise InvalidArchitecture(f"{text!r}: no operation {wrong!r}; there are {', '.join(OPS)}") from None

    def index(self, arch: Arch) -> int:
        """Return the cell's number in the benchmark's official order. Raises :class:`InvalidArchitecture`."""
        return official_number(arch)

    def at(self, index: int) -> Arch:
        """Return the cell with this number in the official order."""
        if not 0 <= index < self.size:
            raise InvalidArchitecture(f"index {index} is outside 0 to {self.size - 1}")
        return official_order()[index]

    def canonical(self, arch: Arch) -> str:
        """Return NAS-Bench-201's unique string with zeros considered: one of 6 466.

        Identity edges are contracted, the terms of a sum are sorted, and a node without input is ``#``.
        """
        return _canonical(arch)


@cache
def _edge(position: int, op: int) -> Edge:
    target, source = EDGES[position]
    return Edge(source, target, OPS[op])


@cache
def _canonical(arch: Arch) -> str:
    nodes = ["0"]
    position = 0
    for target in (1, 2, 3):
        terms = []
        for source in range(target):
            op, value = OPS[arch[position]], nodes[source]
            position += 1
            if op == "none" or value == "#":
                terms.append("#")
            elif op == "skip_connect":
                terms.append(value)
            else:
                terms.append(f"({value})@{op}")
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


@cache
def official_order() -> tuple[Arch, ...]:
    """Return all cells in the benchmark's order: the product of all choices, shuffled by Python's generator with seed 88."""
    cells = list(itertools.product(range(len(OPS)), repeat=len(EDGES)))
    random.Random(88).shuffle(cells)
    return tuple(cells)


def official_number(arch: Arch) -> int:
    """Return the position of ``arch`` in :func:`official_order`.

    Raises:
        InvalidArchitecture: ``arch`` is not a tuple of six ints, each 0 to 4.
    """
    try:
        if type(arch) is tuple and len(arch) == len(EDGES):
            return _official_numbers()[int(bytes(arch).translate(_DIGITS), len(OPS))]
    except (TypeError, ValueError):
        pass
    raise InvalidArchitecture(f"{arch!r} is not a cell of NAS-Bench-201: six plain ints, each 0 to 4")


_DIGITS = bytes(ord("0") + code if code < len(OPS) else ord("x") for code in range(256))


@cache
def _official_numbers() -> array[int]:
    """Return the official number of each cell, by the number that its operations spell in base 5.

    An array is used instead of a dictionary: a look-up writes no reference counts, so forked processes share its memory.
    """
    numbers = array("H", bytes(2 * len(OPS) ** len(EDGES)))
    for number, arch in enumerate(official_order()):
        numbers[int(bytes(arch).translate(_DIGITS), len(OPS))] = number
    return numbers
