"""The graph hash that NAS-Bench-101 uses as the key of its records: isomorphic cells have the same hash.

It is a Weisfeiler-Lehman hash with MD5. Each vertex starts with a digest of its degrees and its operation. In each of as many
rounds as there are vertices, it takes in the digests of its neighbours. The published keys are digests of the *text* of Python
tuples and lists; this module returns the same keys bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from benchmarks.nb1shot1.cell import Cell

try:
    # CPython's own MD5 hashes 12 900 cells a second on one core. hashlib's hashes 11 000, because OpenSSL sets up every call of
    # these short texts. Code generated for each matrix hashed 24 100; an import then computed its cells in 5.1 s, now in 8.0 s.
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5

_INPUT, _OUTPUT = -1, -2


def fingerprint(cell: Cell) -> str:
    """Return the cell's key in NAS-Bench-101: 32 hex digits."""
    neighbours = _neighbours(cell.matrix)
    labels = (_INPUT, *cell.ops, _OUTPUT)
    digests = [_first(len(out), len(into), label) for (into, out), label in zip(neighbours, labels, strict=True)]
    for _ in labels:
        digests = [
            _digest(f"{_joined(digests, into)}|{_joined(digests, out)}|{digest}")
            for (into, out), digest in zip(neighbours, digests, strict=True)
        ]
    return _digest(str(sorted(digests)))


def _digest(text: str) -> str:
    digest: str = md5(text.encode()).hexdigest()
    return digest


@cache
def _first(leaving: int, entering: int, label: int) -> str:
    """Return the first digest of a vertex with these numbers of edges."""
    return _digest(str((leaving, entering, label)))


@cache
def _neighbours(matrix: tuple[tuple[int, ...], ...]) -> list[tuple[list[int], list[int]]]:
    """Return for each vertex the sources of its incoming and the targets of its outgoing edges. Spaces have few matrices."""
    vertices = range(len(matrix))
    return [
        ([source for source in vertices if matrix[source][vertex]], [target for target in vertices if matrix[vertex][target]])
        for vertex in vertices
    ]


def _joined(digests: Sequence[str], vertices: list[int]) -> str:
    """Join the digests of ``vertices`` in ascending order. Most vertices have one or two neighbours, which need no sorting."""
    if len(vertices) == 1:
        return digests[vertices[0]]
    if len(vertices) == 2:
        first, second = digests[vertices[0]], digests[vertices[1]]
        return first + second if first < second else second + first
    return "".join(sorted([digests[vertex] for vertex in vertices]))
